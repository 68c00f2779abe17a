(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  for (const table of all("table.sortable")) {
    const heads = all("thead tr:last-child th", table);
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const text = head.classList.contains("text");
        const key = (row) => row.cells[column].dataset.sort;
        const rows = [...body.rows].sort((one, other) => {
          const [a, b] = [key(one), key(other)];
          if (a === "" || b === "") return (a === "") - (b === "");
          const order = text ? a.localeCompare(b, "en", { numeric: true }) : a - b;
          return down ? -order : order;
        });
        body.append(...rows);
      });
    });
  }

  for (const atlas of all(".atlas")) {
    const range = atlas.querySelector("input");
    const stops = all(".stops button", atlas);
    const show = () => {
      stops.forEach((stop) => stop.classList.toggle("on", stop.dataset.index === range.value));
      atlas.querySelector("output").textContent = stops[range.value].textContent;
      all(".filter", atlas).forEach((one) => { one.hidden = one.dataset.index !== range.value; });
    };
    range.addEventListener("input", show);
    stops.forEach((stop) => stop.addEventListener("click", () => {
      range.value = stop.dataset.index;
      show();
    }));
    show();
  }

  for (const link of all("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      document.getElementById(link.getAttribute("href").slice(1)).scrollIntoView({ behavior: "smooth" });
    });
  }
})();
