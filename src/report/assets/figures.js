// One builder for each figure: figures() maps canvas ids to functions that give { config, describe(item), rows }.

// ---- Frechet distance against NFE --------------------------------------------------------------------------------------------------

const whiskers = {
  id: "whiskers",
  beforeDatasetsDraw(chart) {
    const {ctx, scales} = chart;
    ctx.save();
    chart.data.datasets.forEach((set, i) => {
      if (!chart.isDatasetVisible(i)) return;
      ctx.strokeStyle = set.borderColor;
      ctx.lineWidth = 1.2;
      for (const point of set.data) {
        if (!point.interval) continue;
        const x = scales.x.getPixelForValue(point.x);
        const [low, high] = point.interval.map((v) => scales.y.getPixelForValue(v));
        ctx.beginPath();
        ctx.moveTo(x, low);
        ctx.lineTo(x, high);
        ctx.moveTo(x - 3, low);
        ctx.lineTo(x + 3, low);
        ctx.moveTo(x - 3, high);
        ctx.lineTo(x + 3, high);
        ctx.stroke();
      }
    });
    ctx.restore();
  },
};

// The best of several runs at each NFE, from left to right.
function bestByNfe(points) {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  return sorted.filter((point, i) => i === 0 || sorted[i - 1].x !== point.x);
}

const qualityPoints = (indices) =>
    indices.map((i) => data.runs[i]).map((run) => ({x: run.nfe, y: run.frechet, interval: run.interval, run}));

// All panels of a group share their axes: side by side they are meant to be compared.
function qualityAxes(group) {
  const points = qualityPoints(group.runs);
  const ys = points.flatMap((p) => (p.interval ? [p.y, ...p.interval] : [p.y]));
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const logarithmic = low > 0 && high / low > 8;
  const pad = (high - low || Math.abs(high) || 1) * 0.08;
  const y = logarithmic ? logAxis("Fréchet distance", low / 1.15, high * 1.15, short, {}, 2.5) :
                          axis("Fréchet distance", {suggestedMin: low - pad, suggestedMax: high + pad});
  const nfes = points.map((p) => p.x);
  const reach = Math.max(1, (Math.max(...nfes) - Math.min(...nfes)) * 0.05);
  const x = axis(
      "Network evaluations a sample (NFE)",
      {type: "linear", suggestedMin: Math.max(0, Math.min(...nfes) - reach), suggestedMax: Math.max(...nfes) + reach});
  x.ticks.precision = 0;
  return {x, y};
}

function qualityFigure(group, panel) {
  const points = qualityPoints(panel.runs);
  const datasets = [];
  for (const mode of MODES) {
    const own = points.filter((p) => p.run.teleport === mode);
    if (own.length === 0) continue;
    const look = {
      label: modeName(mode),
      key: mode,
      borderColor: colour(mode),
      backgroundColor: colour(mode),
      borderDash: MODE_DASHES[mode],
      pointStyle: SHAPES[mode],
      pointRadius: SIZES[mode],
      pointHoverRadius: SIZES[mode] + 2,
      pointHitRadius: 10,
      borderWidth: 1.5,
      order: 1,
    };
    // Several runs may have one NFE (other sigma_skip): the line joins the best, the others stand alone.
    const best = bestByNfe(own);
    const rest = own.filter((p) => !best.includes(p));
    datasets.push({...look, data: best, showLine: true});
    if (rest.length) datasets.push({...look, data: rest, showLine: false, extra: true});
  }
  if (group.panels.length > 1) {
    // The best for at most that many evaluations: a solver that has no run at some NFE must not let the bar rise there.
    const all = bestByNfe(qualityPoints(group.runs).filter((p) => p.run.teleport === "off"))
                    .map(({x, y}) => ({x, y}))
                    .filter((p, i, rest) => rest.slice(0, i).every((earlier) => earlier.y > p.y));
    if (all.length) {
      all.push({x: Math.max(...qualityPoints(group.runs).map((p) => p.x)), y: all[all.length - 1].y});
      datasets.push({
        label: "best unskipped",
        data: all,
        showLine: true,
        borderColor: colour("muted"),
        borderWidth: 1.3,
        borderDash: [2, 4],
        pointRadius: 0,
        pointHoverRadius: 0,
        pointHitRadius: 0,
        pointStyle: "line",
        order: 2,
        decor: true,
        extra: true
      });
    }
  }
  return {
    config: {
      type: "scatter",
      data: {datasets},
      plugins: [whiskers],
      options: options(qualityAxes(group), {
        labels: {filter: (item, all) => !all.datasets[item.datasetIndex].extra},
        legend: {onClick: toggleSeries},
      }),
    },
    describe: (item) => ({title: item.raw.run.label, rows: item.raw.run.details}),
  };
}

// ---- Spectrum and energy -----------------------------------------------------------------------------------------------------------

// Told apart by dashes as well as by colour; both repeat after four, which is more than a reader can follow anyway.
function spectrumLook(i) {
  return {
    borderColor: colour("s" + (i % 4)),
    backgroundColor: colour("s" + (i % 4)),
    borderWidth: 2,
    borderDash: DASHES[i % 4],
    pointRadius: 0,
    pointHoverRadius: 4,
    pointStyle: "line",
    showLine: true,
    tension: 0
  };
}

// Chart.js leaves the dashes out of point-style legends, which are all that tells the lines apart without colour.
const LINE_LEGEND = {
  pointStyleWidth: 34,
  generateLabels: (chart) => Chart.defaults.plugins.legend.labels.generateLabels(chart).map(
      (item) => ({...item, lineDash: chart.data.datasets[item.datasetIndex].borderDash})),
};

// The tails carry their name themselves: in the legend they would double its length.
const tailLabels = {
  id: "tailLabels",
  afterDatasetsDraw(chart) {
    const {ctx, chartArea, scales} = chart;
    const taken = [];
    ctx.save();
    ctx.font = `11px ${Chart.defaults.font.family}`;
    chart.data.datasets.forEach((set, i) => {
      if (!set.isTail || !chart.isDatasetVisible(i)) return;
      const y = scales.y.getPixelForValue(set.data[0].y);
      if (taken.some((other) => Math.abs(other - y) < 13)) return;
      taken.push(y);
      ctx.fillStyle = set.borderColor;
      ctx.fillText("tail", chartArea.left + 6, y - 5);
    });
    ctx.restore();
  },
};

function rankAxis() {
  const most = Math.max(...data.spectra.map((spectrum) => spectrum.dim));
  return logAxis("Rank", 1, most * 1.02, (value) => (value >= 10000 ? powerOfTen(value) : String(value)));
}

function spectrumFigure() {
  const datasets = [];
  let low = Infinity, high = 0;
  data.spectra.forEach((spectrum, i) => {
    const points = spectrum.values.map(([x, y]) => ({x, y}));
    datasets.push({...spectrumLook(i), label: spectrum.name, key: spectrum.name, spectrum, data: points});
    if (spectrum.tail) {
      const look = {...spectrumLook(i), borderDash: [3, 3], borderWidth: 1.3};
      datasets.push({
        ...look,
        label: "tail",
        key: spectrum.name,
        spectrum,
        isTail: true,
        data: [{x: 1, y: spectrum.tail}, {x: spectrum.listed + 1, y: spectrum.tail}, {x: spectrum.dim, y: spectrum.tail}]
      });
    }
    const all = points.map((p) => p.y).concat(spectrum.tail || []);
    low = Math.min(low, ...all);
    high = Math.max(high, ...all);
  });
  low /= 1.6;
  high *= 1.6;
  const right = logAxis("σ = √λ", Math.sqrt(low), Math.sqrt(high), short, {position: "right"}, 3);
  right.grid = {...right.grid, drawOnChartArea: false};
  return {
    config: {
      type: "scatter",
      data: {datasets},
      plugins: [tailLabels],
      options: options({x: rankAxis(), y: logAxis("Eigenvalue λ", low, high, powerOfTen), sigma: right}, {
        interaction: {mode: "nearest", axis: "x", intersect: false},
        labels: {...LINE_LEGEND, filter: (item, all) => !all.datasets[item.datasetIndex].isTail},
        legend: {onClick: toggleSeries},
      }),
    },
    describe(item) {
      const {spectrum, isTail} = item.dataset;
      const rank = isTail ? `${spectrum.listed + 1} to ${spectrum.dim} (tail)` : String(item.raw.x);
      return {title: spectrum.name, rows: [["rank", rank], ["eigenvalue λ", short(item.raw.y)], ["σ = √λ", short(Math.sqrt(item.raw.y))]]};
    },
  };
}

function energyFigure() {
  const datasets = data.spectra.map((spectrum, i) => ({
                                      ...spectrumLook(i),
                                      label: spectrum.name,
                                      spectrum,
                                      data: spectrum.energy.map(([x, y]) => ({x, y: y * 100})),
                                    }));
  const y = axis("Cumulative energy (%)", {min: 0, max: 100});
  y.ticks.stepSize = 20;
  return {
    config: {
      type: "scatter",
      data: {datasets},
      options: options({x: rankAxis(), y}, {interaction: {mode: "nearest", axis: "x", intersect: false}, labels: LINE_LEGEND}),
    },
    describe: (item) =>
        ({title: item.dataset.spectrum.name, rows: [["leading directions", String(item.raw.x)], ["energy", item.raw.y.toFixed(2) + " %"]]}),
  };
}

// ---- Noise levels ------------------------------------------------------------------------------------------------------------------

// Labels stand above their row, inside the plot: a left margin wide enough for them would leave a phone no room for the levels.
const rowLabels = {
  id: "rowLabels",
  afterDatasetsDraw(chart) {
    const {ctx, chartArea, scales} = chart;
    ctx.save();
    ctx.font = `12px ${Chart.defaults.font.family}`;
    ctx.textBaseline = "alphabetic";
    for (const [row, run] of chart.headstart.rows.entries()) {
      const y = scales.y.getPixelForValue(row) - 11;
      const cost = `  ${run.nfe} NFE`;
      const room = chartArea.width - ctx.measureText(cost).width - 8;
      let text = run.label;
      while (text.length > 3 && ctx.measureText(text).width > room) text = text.slice(0, -2).trimEnd() + "…";
      ctx.fillStyle = colour("ink");
      ctx.fillText(text, chartArea.left + 2, y);
      ctx.fillStyle = colour("muted");
      ctx.fillText(cost, chartArea.left + 2 + ctx.measureText(text).width, y);
    }
    ctx.restore();
  },
};

function gridsFigure() {
  const rows = data.runs.filter((run) => run.sigmas.length);
  const positive = rows.flatMap((run) => [...run.sigmas, ...run.skipped]).filter((sigma) => sigma > 0);
  const zero = Math.min(...positive) / 2.6;  // a log axis has no 0, so the end of a run gets a place of its own
  const place = (sigma) => (sigma > 0 ? sigma : zero);
  const hasZero = rows.some((run) => run.sigmas.includes(0));
  const lines = [], datasets = [];
  for (const mode of MODES) {
    const evaluated = [], ends = [];
    rows.forEach((run, y) => {
      if (run.teleport !== mode) return;
      run.sigmas.forEach((sigma) => (sigma > 0 ? evaluated : ends).push({x: place(sigma), y, sigma, run}));
      lines.push({data: [run.sigmas[0], run.sigmas[run.sigmas.length - 1]].map((s) => ({x: place(s), y})), colour: mode, dash: []});
      if (run.skipped.length)
        lines.push({data: [run.skipped[0], run.sigmas[0]].map((s) => ({x: place(s), y})), colour: mode, dash: [4, 4]});
    });
    if (evaluated.length) {
      datasets.push({
        label: modeName(mode) + ": evaluated",
        data: evaluated,
        what: "evaluated",
        pointStyle: SHAPES[mode],
        borderColor: colour(mode),
        backgroundColor: colour(mode),
        pointRadius: SIZES[mode] - 1,
        pointHoverRadius: SIZES[mode] + 1,
        pointHitRadius: 6,
        borderWidth: 1
      });
    }
    if (ends.length) {
      datasets.push({
        label: "end",
        data: ends,
        what: "end of the run",
        pointStyle: "line",
        rotation: 90,
        borderColor: colour(mode),
        pointRadius: 6,
        pointHoverRadius: 8,
        borderWidth: 2,
        hide: true
      });
    }
  }
  const skipped = rows.flatMap((run, y) => run.skipped.map((sigma) => ({x: place(sigma), y, sigma, run})));
  if (skipped.length) {
    datasets.push({
      label: "jumped over",
      data: skipped,
      what: "jumped over",
      pointStyle: "circle",
      borderColor: colour("muted"),
      backgroundColor: colour("bg"),
      pointRadius: 3.5,
      pointHoverRadius: 5,
      pointHitRadius: 6,
      borderWidth: 1.3
    });
  }
  for (const line of lines) {
    datasets.push({
      data: line.data,
      showLine: true,
      pointRadius: 0,
      pointHitRadius: 0,
      pointHoverRadius: 0,
      borderWidth: 1.2,
      borderDash: line.dash,
      borderColor: colour(line.colour),
      hide: true,
      order: 9,
      decor: true
    });
  }
  const low = (hasZero ? zero : Math.min(...positive)) / 1.25, high = Math.max(...positive) * 1.3;
  const x = logAxis("Noise level σ", low, high, (value) => (value < Math.min(...positive) * 0.99 ? "0" : short(value)), {reverse: true});
  const build = x.afterBuildTicks;
  x.afterBuildTicks = (scale) => {
    build(scale);
    scale.ticks = scale.ticks.filter((tick) => tick.value >= Math.min(...positive) * 0.99);
    if (hasZero) scale.ticks.unshift({value: zero});
  };
  const y = {type: "linear", reverse: true, min: -0.75, max: rows.length - 0.6, display: false};
  const more = {legend: {onClick: () => {}}, labels: {filter: (item, all) => !all.datasets[item.datasetIndex].hide}};
  return {
    config: {type: "scatter", data: {datasets}, plugins: [rowLabels], options: options({x, y}, more)},
    rows,
    describe: (item) => ({title: item.raw.run.label, rows: [["σ", short(item.raw.sigma)], ["", item.dataset.what]]}),
  };
}

function figures() {
  const all = {};
  for (const group of data.groups) {
    for (const panel of group.panels) all[panel.id] = () => qualityFigure(group, panel);
  }
  if (data.runs.some((run) => run.sigmas.length)) all["grids-chart"] = gridsFigure;
  if (data.spectra.length) {
    all["spectrum-chart"] = spectrumFigure;
    all["energy-chart"] = energyFigure;
  }
  for (const chart of data.lines) all[chart.id] = () => lineFigure(chart);
  return all;
}
