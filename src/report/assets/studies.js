// The line charts of studies: each curve told apart by colour, dashes and marks.
const MARKS = ["circle", "triangle", "rectRot", "rect", "crossRot", "star"];

function lineDatasets(chart) {
  let measured = 0;
  return chart.curves.map((curve) => {
    const i = curve.prediction ? 0 : measured++;
    const ink = curve.prediction ? colour("muted") : colour("s" + (i % 4));
    return {
      label: curve.name,
      data: curve.points.map(([x, y, low, high]) => ({x, y, interval: low === undefined ? undefined : [low, high]})),
      showLine: true,
      tension: 0,
      borderColor: ink,
      backgroundColor: ink,
      borderWidth: curve.prediction ? 1.4 : 1.8,
      borderDash: curve.prediction ? [3, 4] : DASHES[Math.floor(i / 4) % DASHES.length],
      pointStyle: curve.prediction ? "line" : MARKS[i % MARKS.length],
      pointRadius: curve.prediction ? 0 : 3.5,
      pointHoverRadius: curve.prediction ? 0 : 5.5,
      pointHitRadius: 8,
    };
  });
}

function lineAxis(label, values, logarithmic) {
  if (values.length === 0) return axis(label, {type: "linear"});
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (logarithmic) return logAxis(label, low / 1.12, high * 1.12, high / low > 1e4 ? powerOfTen : short, {}, 2.5);
  const pad = (high - low || Math.abs(high) || 1) * 0.05;
  return axis(label, {type: "linear", suggestedMin: low - pad, suggestedMax: high + pad});
}

function lineFigure(chart) {
  const datasets = lineDatasets(chart);
  const points = datasets.flatMap((set) => set.data);
  const ys = points.flatMap((p) => (p.interval && (!chart.log_y || p.interval[0] > 0) ? [p.y, ...p.interval] : [p.y]));
  return {
    config: {
      type: "scatter",
      data: {datasets},
      plugins: [whiskers],
      options: options({x: lineAxis(chart.x_label, points.map((p) => p.x), chart.log_x), y: lineAxis(chart.y_label, ys, chart.log_y)}, {
        interaction: {mode: "nearest", axis: "xy", intersect: false},
        legend: {onClick: toggleSeries},
      }),
    },
    describe(item) {
      const rows = [[chart.x_label, short(item.raw.x)], [chart.y_label, short(item.raw.y)]];
      if (item.raw.interval) rows.push(["interval", item.raw.interval.map(short).join(" to ")]);
      return {title: item.dataset.label, rows};
    },
  };
}
