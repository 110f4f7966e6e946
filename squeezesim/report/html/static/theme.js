// Light, dark, or as the system is.

function theme() {
  const inputs = [...document.querySelectorAll("input[name=theme]")];
  const apply = () => {
    const value = inputs.find((input) => input.checked).value;
    document.documentElement.dataset.theme = value;
  };
  for (const input of inputs) input.addEventListener("change", apply);
  apply();
}
