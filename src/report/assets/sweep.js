// The slider over sigma_skip shows one row of the table below it at a time. Without scripts the table is all there is, and enough.
function enliven(figure) {
  const slider = figure.querySelector(".slider");
  const range = slider.querySelector("input");
  const rows = [...figure.querySelectorAll("tbody tr")];
  const pictures = [...rows[0].querySelectorAll("img")].map((img) => img.cloneNode());
  const show = () => {
    const row = rows[Number(range.value)];
    row.querySelectorAll("img").forEach((img, i) => Object.assign(pictures[i], {src: img.src, alt: img.alt}));
    const {skip, nfe, rmse} = row.dataset;
    for (const [name, value] of Object.entries({skip, nfe, rmse})) slider.querySelector(`[data-value="${name}"]`).textContent = value;
    range.setAttribute("aria-valuetext", `${skip === "none" ? "no jump" : "sigma " + skip}, ${nfe} evaluations, RMSE ${rmse}`);
  };
  slider.querySelector(".pictures").replaceChildren(...pictures);
  range.addEventListener("input", show);
  show();
  slider.hidden = false;
  figure.querySelector("details").open = false;
}
document.querySelectorAll(".sweep").forEach(enliven);
