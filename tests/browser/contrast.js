// Every visible text that stands out from its background less than WCAG's AA asks for: [text, ratio].
() => {
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const luminance = ([red, green, blue]) => 0.2126 * light(red) + 0.7152 * light(green) + 0.0722 * light(blue);
  const ratio = (one, other) => {
    const [dark, bright] = [luminance(one), luminance(other)].sort((left, right) => left - right);
    return (bright + 0.05) / (dark + 0.05);
  };
  const background = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = channels(getComputedStyle(each).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const shown = Array.from(document.body.querySelectorAll("*")).filter((each) => each.checkVisibility());
  const written = shown.filter((each) => Array.from(each.childNodes).some((node) => node.nodeType === 3 && node.data.trim()));
  const pairs = written.map((each) => [each.textContent, ratio(channels(getComputedStyle(each).color), background(each))]);
  const box = document.querySelector("input");
  if (box?.checkVisibility())
    pairs.push(["placeholder", ratio(channels(getComputedStyle(box, "::placeholder").color), background(box))]);
  return { counted: pairs.length, weak: pairs.filter(([, found]) => found < 4.5) };
}
