// What outlives a reload. Files, pictures and readings stand in IndexedDB; what is typed goes
// to localStorage, which has it at once.

const NAME = "ocr", STORES = ["documents", "files", "pictures"];

const database = new Promise(done => {
  try {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => STORES.forEach(s => request.result.createObjectStore(s));
    request.onsuccess = () => done(request.result);
    // A private window, maybe: all works but for a reload.
    request.onerror = () => done(null);
  } catch {
    done(null);
  }
});

async function work(store, mode, order) {
  const db = await database;
  if (!db) return undefined;
  return new Promise(done => {
    const transaction = db.transaction(store, mode);
    const request = order(transaction.objectStore(store));
    transaction.oncomplete = () => done(request?.result);
    transaction.onabort = transaction.onerror = () => done(undefined);
  });
}

export const put = (store, key, value) => work(store, "readwrite", s => s.put(value, key));
export const get = (store, key) => work(store, "readonly", s => s.get(key));
export const documents = async () => await work("documents", "readonly", s => s.getAll()) ?? [];

const edited = id => `ocr:edits:${id}`;

export function saveEdits(document) {
  const edits = {};
  document.pages.forEach((page, p) => page.lines?.forEach((line, l) => {
    if (line.text !== undefined || line.checked) edits[`${p}.${l}`] = [line.text ?? null, !!line.checked];
  }));
  try {
    localStorage.setItem(edited(document.id), JSON.stringify(edits));
    return true;
  } catch {
    return false;
  }
}

export function loadEdits(document) {
  const edits = JSON.parse(localStorage.getItem(edited(document.id)) ?? "{}");
  for (const [place, [text, checked]] of Object.entries(edits)) {
    const [p, l] = place.split(".").map(Number), line = document.pages[p]?.lines?.[l];
    if (!line) continue;
    if (text !== null) line.text = text;
    line.checked = checked;
  }
}

export async function remove(document) {
  localStorage.removeItem(edited(document.id));
  await work("documents", "readwrite", s => s.delete(document.id));
  await work("files", "readwrite", s => s.delete(document.id));
  // Keys are [document, page].
  await work("pictures", "readwrite", s =>
    s.delete(IDBKeyRange.bound([document.id, 0], [document.id, Infinity])));
}
