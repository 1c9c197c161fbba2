// The hot water card: one big ring, a countdown in it while the pump runs.
import { h, icon, svg, put, show } from "./dom.js";
import { t, time, said } from "./strings.js";
import { send } from "./link.js";

const ROUND = 2 * Math.PI * 54;

export const unix = value => typeof value === "string" ? Date.parse(value) / 1000 : value;

export function pump(key, frame) {
  const give = text => send({ device: key, do: text });
  const arc = svg("circle", { class: "arc", cx: 60, cy: 60, r: 54, "stroke-dasharray": ROUND, "stroke-dashoffset": ROUND });
  const big = h("b"), small = h("span"), mark = h("i");
  const ring = h("button", { type: "button", class: "ring", onclick: () => give(busy() ? "stop" : "run") },
    svg("svg", { viewBox: "0 0 120 120", "aria-hidden": "true" }, svg("circle", { class: "track", cx: 60, cy: 60, r: 54 }), arc), mark, big, small);
  const choices = h("div", { class: "row choices" }, ...[3, 5].map(n =>
    h("button", { type: "button", class: "chip", onclick: () => give(`run ${n}m`) }, t("minutes", n))));
  const stop = h("button", { type: "button", class: "wide", onclick: () => give("stop") }, icon("stop"), t("stop"));
  const reason = h("p"), locked = h("div", { class: "locked" }, icon("lock"), reason,
    h("button", { type: "button", class: "wide", onclick: () => give("reset") }, t("reset")));
  const degrees = h("span", { class: "reading" }), why = h("p", { class: "why" }), facts = h("p", { class: "facts" }), note = h("p", { class: "facts" });
  const card = frame("pump", key, locked, ring, choices, stop, why, facts, note);
  card.head.append(degrees);
  let state = {}, ends = null, whole = 0;
  const busy = () => ["starting", "running", "stopping"].includes(state.phase);

  return {
    el: card.el,
    update(view, now) {
      state = view.state;
      const { phase } = state, warm = state.temperature, isLocked = phase === "locked_out" || !!state.locked;
      const end = !busy() ? null : state.remaining_s != null ? now + state.remaining_s : unix(state.ends_at) ?? null;
      if (end === null) whole = 0; else if (!whole || end > ends + 3) whole = Math.max(1, end - now); // a new or longer run
      ends = end;
      put(card.name, view.name);
      put(card.status, view.available ? t(`pump.${phase}`, phase) : t("gone"));
      card.el.dataset.phase = phase;
      put(degrees, warm == null ? "" : `${Number(warm).toFixed(1)} °C`);
      show(locked, isLocked); show(ring, !isLocked); show(choices, !busy() && !isLocked); show(stop, busy());
      put(reason, said(state, "locked") || t("locked"));
      ring.setAttribute("aria-label", busy() ? t("stop") : t("hot"));
      put(why, said(state, "why")); show(why, why.textContent);
      put(facts, [
        state.last_run_s && !busy() && t("last", state.last_run_s, said(state, "last_stop")), state.run_seconds_today > 0 && t("today", state.run_seconds_today),
        state.starts_last_hour > 0 && t("starts", state.starts_last_hour), state.watts != null && busy() && `${Math.round(state.watts)} W`,
      ].filter(Boolean).join(" · ")); show(facts, facts.textContent);
      put(note, state.unattended === "ok" ? "" : said(state, "unattended")); show(note, note.textContent);
      this.tick(now);
    },
    tick(now) {
      const left = ends === null ? null : Math.max(0, ends - now);
      arc.setAttribute("stroke-dashoffset", left === null ? ROUND : ROUND * (1 - Math.min(1, left / whole)));
      if (mark.dataset.name !== (busy() ? "" : "drop")) { mark.dataset.name = busy() ? "" : "drop"; mark.replaceChildren(busy() ? "" : icon("drop")); }
      put(big, left === null ? (busy() ? "…" : t("hot")) : time(Math.ceil(left)));
      put(small, busy() ? (state.temperature == null ? "" : `${Number(state.temperature).toFixed(1)} °C`) : t("warm"));
    },
  };
}
