/** The contrast of each text that is seen and too low, with what it is (WCAG 2.2, 1.4.3). */
export const lowContrast = `(() => {
  const channels = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, index) => value * a + below[index] * (1 - a));
  const luminance = color => {
    const [r, g, b] = color.map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    const own = channels(getComputedStyle(element).backgroundColor);
    const below = element.parentElement === null ? [255, 255, 255] : (own[3] ?? 1) === 1 ? [0, 0, 0] : ground(element.parentElement);
    return over(own, below);
  };
  const low = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data).join("").trim();
    if (text === "" || element.disabled || element.closest(".hidden") || !element.checkVisibility()) continue;
    const back = ground(element);
    const [one, two] = [luminance(over(channels(getComputedStyle(element).color), back)), luminance(back)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) low.push(ratio.toFixed(2) + " " + element.className + ": " + text.slice(0, 40));
  }
  return low;
})()`;
