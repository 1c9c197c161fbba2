// One card per device: built once, then patched by update(view), so that a finger on a slider is not disturbed.
import { h, icon, put, show, fill } from "./dom.js";
import { t, time, said } from "./strings.js";
import { send } from "./link.js";
import { pump, unix } from "./pump.js";

const TURNING = ["waking", "booting", "cooling"];
const list = names => Array.isArray(names) ? names : Object.keys(names ?? {});
const UP = ["on", "light_off"];

function frame(kind, key, ...body) {
  const name = h("h3"), status = h("p", { class: "status" });
  const head = h("div", { class: "head" }, h("div", { class: "names" }, name, status));
  const el = h("article", { class: `card ${kind}`, id: `device-${key}` }, head, ...body);
  return { el, head, name, status };
}

const iconButton = (name, label, onclick, extra = "") =>
  h("button", { type: "button", class: `round ${extra}`, title: label, "aria-label": label, onclick }, icon(name));

function chips(label, command, give) {
  const list = h("div", { class: "chips" });
  const el = h("div", { class: "group" }, h("h4", {}, label), list);
  return {
    el,
    update(names, current) {
      show(el, names.length > 0);
      fill(list, [names, current], () => names.map(name => h("button", {
        type: "button", class: "chip", "aria-pressed": String(name === current), onclick: () => give(`${command} ${name}`),
      }, name)));
    },
  };
}

function projector(key) {
  const give = text => send({ device: key, do: text });
  let state = {}, gone = false;
  const goesOn = () => !(UP.includes(state.phase) || state.desired === "on" && TURNING.includes(state.phase));
  const power = h("button", { type: "button", class: "power", onclick: () => give(goesOn() ? "power on" : "power off") }, icon("power"));
  const sure = h("div", { class: "row unsure" },
    h("button", { type: "button", class: "chip", onclick: () => give("power on") }, t("turnOn")),
    h("button", { type: "button", class: "chip", onclick: () => give("power off") }, t("turnOff")));
  const mute = iconButton("sound", t("mute"), () => give(`mute ${state.muted ? "off" : "on"}`));
  const level = h("output");
  const slider = h("input", {
    type: "range", min: 0, max: 100, "aria-label": t("volume"),
    oninput: () => { slider.dataset.held = "yes"; paint(); }, onchange: () => { delete slider.dataset.held; give(`volume ${slider.value}`); },
  });
  const paint = () => { put(level, slider.value); slider.style.setProperty("--part", `${100 * slider.value / slider.max}%`); };
  const volume = h("div", { class: "row volume" }, mute,
    iconButton("minus", t("quieter"), () => give("volume -1")), slider, iconButton("plus", t("louder"), () => give("volume +1")), level);
  const light = h("button", { type: "button", class: "wide", onclick: () => give(state.phase === "light_off" ? "power light_on" : "power light_off") });
  const key_ = (name, extra = "") => iconButton(name, t(name), () => give(`key ${name}`), extra);
  const pad = h("details", { class: "remote" }, h("summary", {}, t("remote")), h("div", { class: "pad" },
    key_("back"), key_("up"), key_("home"), key_("left"),
    h("button", { type: "button", class: "round ok", onclick: () => give("key ok") }, t("ok")), key_("right"), key_("menu"), key_("down"), key_("play_pause")));
  const inputs = chips(t("inputs"), "input", give), apps = chips(t("apps"), "app", give);
  const waiting = h("p", { class: "waiting" }), why = h("p", { class: "why" }), facts = h("ul", { class: "facts" });
  const panel = h("div", { class: "panel" }, volume, light, inputs.el, apps.el, pad);
  const card = frame("projector", key, sure, waiting, panel, why, facts);
  card.head.append(power);
  return {
    el: card.el,
    update(view, now) {
      state = view.state;
      const up = UP.includes(state.phase), soon = ["waking", "booting"].includes(state.phase) && state.desired !== "off";
      put(card.name, view.name);
      gone = !view.available;
      this.tick(now);
      card.el.dataset.phase = state.phase;
      power.className = `power ${TURNING.includes(state.phase) ? "turning" : ""}`;
      power.setAttribute("aria-label", `${view.name}: ${t(goesOn() ? "turnOn" : "turnOff")}`);
      power.setAttribute("aria-pressed", String(up));
      show(power, state.phase !== "unknown"); show(sure, state.phase === "unknown");
      show(panel, up || soon); show(volume, up); show(light, up); show(pad, up);
      slider.max = state.volume_max ?? 100;
      if (!slider.dataset.held && state.volume != null) { slider.value = state.volume; paint(); }
      show(level, state.volume != null); show(slider, state.volume != null);
      fill(mute, state.muted, () => [icon(state.muted ? "silent" : "sound")]);
      mute.setAttribute("aria-pressed", String(!!state.muted));
      mute.title = t(state.muted ? "unmute" : "mute"); mute.setAttribute("aria-label", mute.title);
      fill(light, state.phase, () => [icon(state.phase === "light_off" ? "screen" : "music"), t(state.phase === "light_off" ? "light_on" : "light_off")]);
      inputs.update(list(state.inputs), state.input);
      apps.update(list(state.apps), state.app);
      put(waiting, state.waiting?.length ? `${t("waiting")}: ${state.waiting.join(" · ")}` : ""); show(waiting, waiting.textContent);
      put(why, said(state, "why")); show(why, why.textContent);
      const mains = state.plug == null ? null : state.plug === true || state.plug === "on" ? "up" : "down";
      fill(facts, [state.channels, mains, Math.round(state.watts ?? -1)], () => [
        ...Object.entries(state.channels ?? {}).map(([name, health]) => h("li", { class: health }, name.toUpperCase())),
        mains && h("li", { class: mains }, t("mains")), state.watts != null && h("li", { class: "figure" }, `${Math.round(state.watts)} W`),
      ].filter(Boolean));
    },
    tick(now) {
      const left = state.ready_at == null ? 0 : unix(state.ready_at) - now;
      put(card.status, [t(`phase.${state.phase}`, state.phase), left > 0 && time(Math.ceil(left)), gone && t("gone")].filter(Boolean).join(" · "));
    },
  };
}

function plug(key) {
  const toggle = h("button", { type: "button", class: "switch", role: "switch", onclick: () => send({ device: key, do: toggle.ariaChecked === "true" ? "off" : "on" }) });
  const card = frame("small", key);
  card.head.append(toggle);
  return {
    el: card.el,
    update({ name, available, state }) {
      put(card.name, name);
      const watts = state.watts == null ? "" : ` · ${Math.round(state.watts)} W`;
      put(card.status, available ? (state.on == null ? "?" : t(state.on ? "on" : "off")) + watts : t("gone"));
      toggle.setAttribute("aria-checked", String(!!state.on)); toggle.setAttribute("aria-label", name);
      show(toggle, state.owner == null);
      show(card.el, state.owner == null || !available); // a plug that serves a device is shown by that device's card
    },
  };
}

function sensor(key) {
  const value = h("span", { class: "reading" });
  const card = frame("small", key);
  card.head.append(value);
  return {
    el: card.el,
    update({ name, available, state }) {
      put(card.name, name);
      put(card.status, available ? "" : t("gone")); show(card.status, !available);
      put(value, state.value == null ? "–" : `${Number(state.value).toFixed(1)} ${state.unit ?? ""}`);
    },
  };
}

export const makers = { projector, pump: key => pump(key, frame), plug, sensor };
