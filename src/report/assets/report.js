// Draws the figures, and redraws them for another colour scheme or for paper. Tooltips and keys are shared by all of them.
const charts = [];
const tip = document.getElementById("tip");

function element(tag, text) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  return node;
}

function fillTip(descriptions) {
  tip.replaceChildren();
  for (const {title, rows} of descriptions) {
    const list = element("dl");
    for (const [name, value] of rows) {
      const row = element("div");
      row.append(element("dt", name), element("dd", value));
      list.append(row);
    }
    tip.append(element("b", title), list);
  }
  tip.classList.toggle("wide", descriptions.some(({rows}) => rows.length > 26));
}

// In HTML rather than on the canvas: a run has more settings than fit there, and a canvas cuts off what leaves it.
function showTip({chart, tooltip}) {
  const items = (tooltip.dataPoints || []).filter((item) => !item.dataset.decor).slice(0, 2);
  tip.hidden = tooltip.opacity === 0 || items.length === 0;
  if (tip.hidden) return;
  fillTip(items.map(chart.headstart.describe));
  const box = chart.canvas.getBoundingClientRect();
  const [x, y] = [box.left + tooltip.caretX, box.top + tooltip.caretY];
  const right = x + 14 + tip.offsetWidth < innerWidth - 8;
  tip.style.left = Math.max(8, right ? x + 14 : x - 14 - tip.offsetWidth) + "px";
  tip.style.top = Math.max(8, Math.min(y - tip.offsetHeight / 2, innerHeight - tip.offsetHeight - 8)) + "px";
}

function select(chart, items) {
  chart.setActiveElements(items);
  chart.tooltip.setActiveElements(items, {x: 0, y: 0});
  chart.update();
}

// Every visible point from left to right, so that arrow keys follow the eye.
function stops(chart) {
  const all = [];
  chart.data.datasets.forEach((set, datasetIndex) => {
    if (set.decor || !chart.isDatasetVisible(datasetIndex)) return;
    chart.getDatasetMeta(datasetIndex).data.forEach((point, index) => all.push({datasetIndex, index, x: point.x, y: point.y}));
  });
  return all.sort((a, b) => (chart.headstart.rows ? a.y - b.y || a.x - b.x : a.x - b.x || a.y - b.y));
}

function onKey(chart, event) {
  const all = stops(chart);
  const step =
      {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity}[event.key];
  if (event.key === "Escape") return select(chart, []);
  if (step === undefined || all.length === 0) return undefined;
  event.preventDefault();
  const last = all.length - 1;
  const own = chart.headstart;
  own.at = own.at === undefined ? (step < 0 ? last : 0) : Math.min(last, Math.max(0, own.at + step));
  const {datasetIndex, index} = all[own.at];
  select(chart, [{datasetIndex, index}]);
  const dataset = chart.data.datasets[datasetIndex];
  const {title, rows} = own.describe({dataset, raw: dataset.data[index]});
  document.getElementById("live").textContent = title + ": " + rows.map((row) => row.join(" ")).join(", ");
  return undefined;
}

function drawAll() {
  charts.splice(0).forEach((chart) => chart.destroy());
  tip.hidden = true;
  Chart.defaults.font.family = colour("sans");
  Chart.defaults.font.size = 12;
  for (const [id, build] of Object.entries(figures())) {
    const {config, describe, rows} = build();
    config.options.plugins.tooltip.external = showTip;
    const node = document.getElementById(id);
    // Plugins draw while the constructor runs, so what they read has to be in place before it.
    config.plugins = [
      {
        id: "attach",
        beforeInit: (chart) => {
          chart.headstart = {describe, rows};
        }
      },
      ...(config.plugins || [])
    ];
    const chart = new Chart(node, config);
    charts.push(chart);
    node.onkeydown = (event) => onKey(chart, event);
    node.onblur = () => select(chart, []);
  }
}

// Drawn means that something is really there where each dataset has its points: axes and labels alone do not make a chart.
function isDrawn(chart) {
  const {canvas, ctx, currentDevicePixelRatio: ratio} = chart;
  if (canvas.width === 0 || canvas.height === 0) return false;
  const pixels = ctx.getImageData(0, 0, canvas.width, canvas.height).data;
  // What is there and is no grid line is data. Asking for the exact colour would fail where dashed lines lie on top of each other.
  const lines = ["grid", "rule"].map((name) => colour(name).match(/[0-9a-f]{2}/gi).map((hex) => parseInt(hex, 16)));
  const painted = (x, y) => {
    const at = (y * canvas.width + x) * 4;
    return pixels[at + 3] > 60 && !lines.some((rgb) => rgb.every((v, k) => Math.abs(v - pixels[at + k]) < 24));
  };
  const near = [-3, -2, -1, 0, 1, 2, 3].flatMap((dy) => [-3, -2, -1, 0, 1, 2, 3].map((dx) => [dx, dy]));
  const shows = (point) => near.some(([dx, dy]) => {
    const [x, y] = [Math.round(point.x * ratio) + dx, Math.round(point.y * ratio) + dy];
    return x >= 0 && y >= 0 && x < canvas.width && y < canvas.height && painted(x, y);
  });
  return chart.data.datasets.every((set, i) => chart.getDatasetMeta(i).data.some(shows));
}

function forPaper(on) {
  document.documentElement.toggleAttribute("data-print", on);
  for (const part of document.querySelectorAll("details")) {
    if (on && !part.open) {
      part.dataset.closed = "";
      part.open = true;
    } else if (!on && "closed" in part.dataset) {
      part.open = false;
      delete part.dataset.closed;
    }
  }
  for (const plot of document.querySelectorAll(".plot")) {
    if (on) plot.dataset.height = plot.style.height;
    const squeeze = plot.querySelector("#grids-chart") ? 0.85 : 0.66;  // its rows need their height for the labels
    plot.style.height = on ? Math.round(parseInt(plot.dataset.height, 10) * squeeze) + "px" : plot.dataset.height;
  }
  drawAll();
  // The page is still laid out for the screen at this moment, so the charts cannot measure the paper themselves.
  if (on) charts.forEach((chart) => chart.resize(chart.canvas.closest(".pair") ? 318 : 670, chart.canvas.parentNode.offsetHeight));
}

for (const dd of document.querySelectorAll("#settings dd")) dd.classList.toggle("long", dd.textContent.length > 28);
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
addEventListener("beforeprint", () => forPaper(true));
addEventListener("afterprint", () => forPaper(false));
addEventListener("scroll", () => {
  tip.hidden = true;
}, {passive: true});
document.body.dataset.charts = String(charts.filter(isDrawn).length);
document.body.dataset.ready = "true";
