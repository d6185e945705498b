// Keeps an open page fresh, draws its charts, and makes it usable by keyboard.
// The pages work without it: links, filters and acts are plain HTML.
"use strict";

(() => {
  const root = document.body.dataset.root;
  const rate = document.getElementById("rate");
  const help = document.getElementById("help");
  const charts = new Map();
  let stream = null;

  // Refreshes come by server-sent events, and only while a person can see the page and chooses
  // nothing on it.
  const busy = () => help.open || document.querySelector("#bulk input[name=id]:checked") !== null;
  const refresh = () => {
    if (!document.hidden && !busy()) htmx.trigger(document.body, "refresh");
  };
  // A page of an act has a stream of its own, which ends with the act.
  const source = () => {
    const live = document.querySelector("#live[hx-get]");
    if (document.hidden || !live) return null;
    return live.dataset.stream ?? (rate.value && `${root}/events?every=${rate.value}`);
  };
  const listen = () => {
    const wanted = source();
    if (stream?.wanted === wanted) return;
    stream?.close();
    stream = null;
    if (!wanted) return;
    stream = new EventSource(wanted);
    stream.wanted = wanted;
    stream.addEventListener("refresh", refresh);
  };

  const chosen = () => {
    const label = document.getElementById("chosen");
    if (!label) return;
    const count = document.querySelectorAll("#bulk input[name=id]:checked").length;
    label.textContent = count ? `${count} chosen, the page waits` : "none chosen";
  };

  const clock = (at) => new Date(at * 1000).toISOString().slice(11, 16);
  // A chart is drawn again only when its data or its width has changed.
  const draw = () => {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    for (const place of document.querySelectorAll(".chart")) {
      const key = `${place.dataset.chart}|${place.clientWidth}|${color("--front")}`;
      if (charts.get(place.id) === key && place.firstChild) continue;
      charts.set(place.id, key);
      place.replaceChildren();
      const data = JSON.parse(place.dataset.chart);
      const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 } };
      const bars = uPlot.paths.bars({ size: [0.7, 18] });
      const fill = (name, of) => ({ label: name, stroke: color(of), fill: color(of), paths: bars, points: { show: false } });
      new uPlot({
        width: place.clientWidth, height: 190, legend: { live: false }, cursor: { show: false },
        scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
        axes: [{ ...axis, space: 70, incrs: [60, 120, 300, 600], values: (_, ats) => ats.map(clock) }, { ...axis, size: 44 }],
        series: [{}, fill("ended", "--good"), fill("with an error", "--bad")],
      }, [data.at, data.succeeded.map((n, i) => n + data.failed[i]), data.failed], place);
    }
  };

  const go = (key) => document.querySelector(`a[data-key="${key}"]`)?.click();
  // Moves the focus among the rows of the first list.
  const step = (by) => {
    const rows = [...document.querySelectorAll("#live tbody th a")];
    const at = rows.indexOf(document.activeElement.closest("tr")?.querySelector("th a"));
    rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
  };
  const keys = {
    o: () => go("o"), p: () => go("p"), w: () => go("w"), e: () => go("e"), s: () => go("s"), g: () => go("g"), j: () => go("j"), h: () => go("h"), b: () => go("b"),
    a: () => go("a"), r: refresh,
    ArrowDown: () => step(1), ArrowUp: () => step(-1),
    x: () => document.activeElement.closest("tr")?.querySelector("input[type=checkbox]")?.click(),
    "/": () => document.querySelector(".filter select, .filter input")?.focus(),
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  document.getElementById("help-open").addEventListener("click", () => help.showModal());
  document.addEventListener("change", (event) => {
    if (event.target.id === "choose-all") {
      for (const each of document.querySelectorAll("#bulk input[name=id]")) each.checked = event.target.checked;
    }
    chosen();
  });
  document.addEventListener("submit", (event) => {
    const jump = event.target.dataset.jump;
    if (!jump) return;
    event.preventDefault();
    const id = event.target.elements.id.value.trim();
    if (id) location.href = jump + encodeURIComponent(id);
  });
  rate.value = sessionStorage.getItem("rate") ?? rate.value;
  rate.addEventListener("change", () => { sessionStorage.setItem("rate", rate.value); listen(); });
  document.addEventListener("visibilitychange", () => { listen(); refresh(); });
  document.body.addEventListener("htmx:afterSettle", () => { draw(); chosen(); listen(); });
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("pagehide", () => stream?.close());
  draw();
  listen();
})();
