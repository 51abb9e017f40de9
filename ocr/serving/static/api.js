// Requests to the service: keys, waiting while it is busy, jobs.
import { $, wait } from "./dom.js";

const RETRIES = 5, PATIENCE = 20;

export class Gone extends Error {}

let asked = null;

// One question at a time, however many requests were refused.
function askForKey() {
  asked ??= new Promise(done => {
    const dialog = $("ask");
    dialog.addEventListener("close", () => {
      localStorage.setItem("ocr:key", $("key").value.trim());
      asked = null;
      done();
    }, { once: true });
    dialog.showModal();
  });
  return asked;
}

export async function send(path, options = {}, onWait = () => {}) {
  for (let attempt = 0; ; attempt++) {
    const key = localStorage.getItem("ocr:key");
    let answer;
    try {
      answer = await fetch(path, { ...options, headers: key ? { "X-API-Key": key } : {} });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new TypeError("The service does not answer.");
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      await askForKey();
      continue;
    }
    let message = `The service answered ${answer.status}.`;
    try { message = (await answer.json()).error; } catch { /* not JSON: a proxy's page */ }
    if (answer.status === 404) throw new Gone(message);
    if (![429, 503].includes(answer.status) || attempt >= RETRIES) throw new Error(message);
    onWait();
    await wait(Math.min(Number(answer.headers.get("Retry-After")) || 1, 30));
  }
}

export async function submit(file, options, onWait) {
  const form = new FormData();
  form.append("files", file, file.name || "image");
  const query = new URLSearchParams(options);
  return (await send(`jobs?${query}`, { method: "POST", body: form }, onWait)).json();
}

// Hand on what happens in a job until it has ended. Without an answer it is asked again: the
// job goes on.
export async function follow(id, onNews, onTrouble) {
  for (let after = 0; ;) {
    let news;
    try {
      news = await (await send(`jobs/${id}/events?after=${after}&wait=${PATIENCE}`)).json();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      onTrouble(error);
      await wait(2);
      continue;
    }
    after = news.next;
    onNews(news);
    if (["done", "cancelled"].includes(news.state) && !news.events.length) return news.state;
  }
}

export const picture = async (id, page) =>
  (await send(`jobs/${id}/pages/${page}/image`)).blob();

export const forget = id => send(`jobs/${id}`, { method: "DELETE" }).catch(() => {});

export async function write(pages, files, format) {
  const form = new FormData();
  form.append("pages", JSON.stringify(pages));
  for (const file of files) form.append("files", file, file.name || "image");
  return send(`export?format=${format}`, { method: "POST", body: form });
}
