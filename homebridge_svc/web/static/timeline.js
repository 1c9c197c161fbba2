// What happened and why: journal rows gathered into chains, newest first; a tap opens heard → meant → … → confirmed.
import { $, h, icon, show } from "./dom.js";
import { t, language, spoken } from "./strings.js";

const CHAINS = 30, BAD = ["refused", "failed", "expired", "busy"];
let rows = [];
const open = new Map(); // chain -> its rows in full, as `explain` gives them

// the sentences of the journal's writer that are worth saying in the household's language
const QUOTE = /^['"](.*)['"] from (.*)$/,
  CHANGE = /^(phase|on) .+? → (\w+)/,
  LINE = /^(\S+) is (there|gone)(: .*)?$/;
const WEIGHTY = ["heard", "due", "nonsense", "announced"]; // what people ask about; the rest is written small

const clock = (utc, options) => new Date(utc * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hour12: false, ...options });

function words(row) {
  const quote = row.kind === "heard" && row.text.match(QUOTE);
  if (quote) return t("from", quote[1], quote[2]);
  if (language === "zh" && row.data.zh) return row.data.zh;
  return row.kind === "answered" ? row.text.replace(/^[a-z]+: /, "") : row.text;
}

function title(row) {
  const quote = row.kind === "heard" && row.text.match(QUOTE);
  if (quote) return spoken(quote[1]);
  const [, part, to] = row.kind === "changed" && row.text.match(CHANGE) || []; // "phase running → resting, …", "on no → yes"
  if (part) return part === "on" ? t(to === "yes" ? "on" : "off") : t(`pump.${to}`, t(`phase.${to}`, to));
  const [, end, way, why] = row.kind === "changed" && row.text.match(LINE) || []; // "living_room.udp is gone: no answer"
  return end ? t(way === "there" ? "there" : "away", end.split(".")[1]?.toUpperCase() ?? "") + (why ?? "") : words(row);
}

const root = chain => chain?.split(".")[0]; // a phrase's steps are <id>.1, <id>.2 …

export function take(message) {
  rows = message.first ? message.rows : [...message.rows, ...rows].slice(0, 500);
  for (const chain of new Set(message.rows.map(row => root(row.chain)))) {
    if (open.has(chain)) { open.set(chain, rows.filter(row => root(row.chain) === chain).reverse()); explain(chain); }
  }
  if (message.rows.length || message.first) draw();
}

async function explain(chain) {
  const response = await fetch(`/api/explain/${encodeURIComponent(chain)}`).catch(() => null);
  if (!response?.ok || !open.has(chain)) return;
  const known = open.get(chain), found = (await response.json()).rows;
  open.set(chain, found.length > known.length ? found : known);
  draw();
}

function gather() {
  const chains = new Map();
  for (const [index, row] of rows.entries()) {
    const id = root(row.chain) ?? `row${index}`;
    if (!chains.has(id)) chains.set(id, []);
    chains.get(id).unshift(row);
  }
  return [...chains].slice(0, CHAINS);
}

function headline(steps, names) {
  const told = steps.findLast(row => row.kind === "answered" && !row.chain.includes(".")) ?? steps.findLast(row => row.kind === "answered");
  const weighty = steps.find(row => WEIGHTY.includes(row.kind)), said = steps.findLast(row => row.kind === "announced");
  const first = weighty ?? steps.find(row => row.kind === "changed" && CHANGE.test(row.text)) ?? steps.at(-1);
  const tone = said?.data.alarm || BAD.includes(told?.data.say) || steps.some(row => row.kind === "failed") && !told ? "bad"
    : told?.data.say === "accepted" ? "wait" : told ? "good" : "";
  return { tone: weighty ? tone : `${tone} light`, at: first.utc, title: title(first), who: names(first.device), end: told ?? (said === first ? null : said) };
}

export function draw(names = draw.names) {
  draw.names = names;
  const focus = document.activeElement?.dataset?.chain;
  $("rows").replaceChildren(...gather().map(([id, steps]) => {
    const { tone, at, title, who, end } = headline(steps, names), isOpen = open.has(id);
    const button = h("button", {
      type: "button", "aria-expanded": String(isOpen),
      onclick: () => { if (isOpen) open.delete(id); else { open.set(id, steps); explain(id); } draw(); },
    }, h("time", {}, clock(at)), h("span", { class: "what" }, h("b", {}, who ? h("em", {}, who) : "", title),
      end ? h("span", { class: "end" }, end.data.say ? `${t(`say.${end.data.say}`)}${words(end) === t(`say.${end.data.say}`) ? "" : " · " + words(end)}` : words(end)) : ""), icon("down"));
    button.dataset.chain = id;
    const detail = h("ol", { class: "steps" }, ...(open.get(id) ?? []).map(row => h("li", { class: `${row.kind} ${BAD.includes(row.data.say) ? "failed" : ""}` },
      h("span", { class: "kind" }, t(`kind.${row.kind}`, row.kind)), h("span", {}, words(row)),
      h("time", {}, clock(row.utc, { second: "2-digit" })))));
    show(detail, isOpen);
    return h("li", { class: `chain ${tone}` }, button, detail);
  }));
  if (!rows.length) $("rows").append(h("li", { class: "none" }, t("nothing")));
  if (focus) document.querySelector(`[data-chain="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}
