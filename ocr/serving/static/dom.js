// Small helpers for making elements.
export const $ = id => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const points = polygon => polygon.map(p => p.join(",")).join(" ");
export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
export const percent = share => `${Math.round(100 * share)}%`;
export const wait = seconds => new Promise(done => setTimeout(done, 1000 * seconds));
