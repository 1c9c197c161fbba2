// The smallest helpers: elements, icons, toasts. Text goes in as text nodes only: nothing from outside becomes markup.
const PATHS = {
  power: "M12 3v8M7 6.300a8 8 0 1 0 10 0",
  drop: "M12 3.500c4 4.700 6 7.700 6 10.500a6 6 0 0 1-12 0c0-2.800 2-5.800 6-10.500z",
  stop: "M7 7h10v10H7z",
  sound: "M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM15.500 9a4.500 4.500 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11",
  silent: "M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM16 9.500l5 5M21 9.500l-5 5",
  music: "M9 17.500V6l10-2v11.500M9 17.500a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0zM19 15.500a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0z",
  screen: "M3.500 5h17v11h-17zM9 20h6M12 16v4",
  up: "M6 15l6-6 6 6", down: "M6 9l6 6 6-6", left: "M15 6l-6 6 6 6", right: "M9 6l6 6-6 6",
  back: "M9 7l-5 5 5 5M4 12h11a5 5 0 0 1 0 10h-2", home: "M4 11.500 12 5l8 6.500M6.500 10v9h11v-9", menu: "M4 7h16M4 12h16M4 17h16",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3", play_pause: "M5 6v12l8-6zM16.500 6.500v11M20 6.500v11",
  plus: "M12 6v12M6 12h12", minus: "M6 12h12",
};

export const $ = id => document.getElementById(id);

export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (name === "class") el.className = value;
    else if (name in el && !name.includes("-")) el[name] = value;
    else el.setAttribute(name, value);
  }
  el.append(...children.filter(child => child != null && child !== ""));
  return el;
}

export function svg(tag, attributes, ...children) {
  const el = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

export const icon = name => svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));

export function show(el, visible) { el.hidden = !visible; }
export function put(el, text) { if (el.textContent !== text) el.textContent = text; }

/** Rebuild the children of `el` only when `data` changed, so that focus and touch survive. */
export function fill(el, data, build) {
  const mark = JSON.stringify(data);
  if (el.dataset.mark !== mark) { el.dataset.mark = mark; el.replaceChildren(...build()); }
}

const shown = new Map();
export function toast(id, tone, title, text) {
  let el = shown.get(id);
  if (!el) { el = h("div", {}); shown.set(id, el); $("toasts").append(el); }
  clearTimeout(el.timer);
  el.className = `toast ${tone}`;
  el.replaceChildren(h("b", {}, title), text && text !== title ? h("span", {}, text) : "");
  el.timer = setTimeout(() => { el.remove(); shown.delete(id); }, tone === "bad" ? 9000 : 4000);
}
