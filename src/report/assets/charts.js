// What every figure shares: the data, colours, axes, legends. Chart.js is already there.
"use strict";
const data = JSON.parse(document.getElementById("headstart-data").textContent);
const MODES = ["off", "tail", "respaced"];
const SHAPES = {
  off: "circle",
  tail: "triangle",
  respaced: "rectRot"
};
const SIZES = {
  off: 5,
  tail: 6,
  respaced: 6.2
};
const MODE_DASHES = {
  off: [],
  tail: [8, 4],
  respaced: [2, 3]
};
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const short = (value) => String(Number(value.toPrecision(4)));
const modeName = (mode) => (mode === "off" ? "unskipped" : mode);
const superscript = (n) =>
    String(n).replace(/./g, (c) => ({"-": "\u207b"})[c] || "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[c]);
const powerOfTen = (value) => "10" + superscript(Math.round(Math.log10(value)));

// Chart.js labels every minor step of a log axis; a reader needs the decades, and 2 and 5 only where there are few of those.
function logTicks(low, high, few = 2) {
  const decades = Math.log10(high / low);
  const steps = decades < 1.4 ? [1, 2, 3, 5, 7] : decades < few ? [1, 2, 5] : [1];
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const step of steps) {
      const value = Number(step + "e" + e);
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push({value});
    }
  }
  return ticks;
}

function axis(title, more = {}) {
  return Object.assign(
      {
        title: {display: true, text: title, color: colour("muted"), font: {size: 12}, padding: 4},
        ticks: {color: colour("muted"), maxRotation: 0, autoSkipPadding: 14},
        grid: {color: colour("grid"), borderColor: colour("rule"), tickColor: colour("rule"), tickLength: 5},
      },
      more);
}

function logAxis(title, low, high, format, more = {}, few = 2) {
  const base = axis(title, more);
  base.ticks = Object.assign({}, base.ticks, {callback: (value) => format(value), autoSkip: true, ...(more.ticks || {})});
  return Object.assign(base, {
    type: "logarithmic",
    min: low,
    max: high,
    afterBuildTicks: (scale) => {
      scale.ticks = logTicks(low, high, few);
    }
  });
}

function options(scales, more = {}) {
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    scales,
    interaction: more.interaction || {mode: "nearest", intersect: true},
    layout: {padding: {top: 4, right: 8}},
    plugins: {
      legend: Object.assign(
          {
            display: true,
            position: "top",
            align: "start",
            labels: {
              color: colour("ink"),
              usePointStyle: true,
              pointStyleWidth: 10,
              boxHeight: 7,
              padding: 16,
              font: {size: 12.5},
              ...(more.labels || {})
            },
          },
          more.legend || {}),
      tooltip: {enabled: false},
    },
  };
}

// A series may be several datasets (a line and lone points, a spectrum and its tail): its entry in the legend switches all of them.
function toggleSeries(_, item, legend) {
  const chart = legend.chart;
  const {key} = chart.data.datasets[item.datasetIndex];
  const visible = !chart.isDatasetVisible(item.datasetIndex);
  chart.data.datasets.forEach((set, i) => {
    if (i === item.datasetIndex || (key !== undefined && set.key === key)) chart.setDatasetVisibility(i, visible);
  });
  chart.update();
}
