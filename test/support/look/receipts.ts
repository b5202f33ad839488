import sharp from "sharp";

/*
 * Receipts drawn by a script, for training and for judging the look (#core/look): text lines as shops print them, on
 * paper with shade and folds, on a table, tilted, blurred, with noise. Everything follows from the seed and the fonts.
 */

/** A picture and the facts about it. */
export interface Drawn {
  /** A JPEG, upright except for `tilt`. */
  bytes: Buffer;
  /** Clockwise, in degrees. */
  tilt: number;
  /** How many lines of text there are, and how many of them have something at the right edge. */
  lines: number;
  amounts: number;
}

export interface Random {
  next(): number;
  between(low: number, high: number): number;
  whole(low: number, high: number): number;
  one<T>(list: readonly T[]): T;
  chance(share: number): boolean;
}

/** Mulberry32: small, and the same everywhere. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number) => low + (high - low) * next();
  const whole = (low: number, high: number) => Math.floor(between(low, high + 1));
  return {
    next,
    between,
    whole,
    one: (list) => list[whole(0, list.length - 1)] as never,
    chance: (share) => next() < share,
  };
}

const goods =
  "Milk Bread Butter Coffee Tea Sugar Apples Bananas Rice Noodles Chicken Soup Salad Juice Water Cheese Ham Eggs Tomato Onion Pizza Pasta Burger Fries Cola Beer Wine Cake Cookie Yogurt Vollkornbrot Apfelsaft Kartoffeln Joghurt Käse Wurst Nasi Goreng Ayam Bakar Teh Botol Kopi Susu Mie Latte Cappuccino Espresso Sandwich Croissant Baguette Beurre Fromage Soap Paper Battery Cable Lamp Shampoo Brush Pencil Folder Stapler Screws Paint Tape Gloves".split(
    " ",
  );
const shops =
  "MARKET CENTRE|Corner Bakery|GREEN GROCER SDN BHD|Café Central|Hardware & More|CITY PHARMACY|Restaurant Sakura|Toko Makmur Jaya|Supermarkt Neumann|THE OLD INN|Boulangerie Martin|ABC STATIONERY".split(
    "|",
  );
const streets =
  "12 High Street|Hauptstraße 45|Jalan Sudirman 8|No. 7, Lorong Besar|Rue de la Gare 3|48 Park Avenue|Bahnhofplatz 1".split(
    "|",
  );
const closings =
  "Thank you for your visit|THANK YOU, PLEASE COME AGAIN|Vielen Dank für Ihren Einkauf|Terima kasih|Goods sold are not returnable|Merci de votre visite|www.example.com".split(
    "|",
  );
const totals = ["TOTAL", "Total", "SUMME EUR", "Grand Total", "Total Due", "Zu zahlen", "Montant"];
const taxes = ["VAT 20%", "Tax", "GST 6%", "MwSt 19%", "PPN 10%", "Service", "Rounding"];

interface Line {
  kind: "centred" | "left" | "row" | "rule" | "gap" | "barcode" | "logo";
  /** The text at the left, for `row`. */
  text?: string;
  right?: string;
  /** Times the usual height; default 1. */
  size?: number;
  bold?: boolean;
}

function money(r: Random, most = 60): string {
  const style = r.whole(0, 3);
  const value = r.between(0.5, most);
  if (style === 0) return value.toFixed(2);
  if (style === 1) return value.toFixed(2).replace(".", ",");
  if (style === 2) return `${Math.round(value)},${r.whole(1, 9)}00`;
  return `${r.one(["$", "£", "€", "RM", "Rp "])}${value.toFixed(2)}`;
}

/** The text of a receipt as lines. */
function linesOf(r: Random, most: number): Line[] {
  const upper = r.chance(0.45);
  const say = (text: string) => (upper ? text.toUpperCase() : text);
  const lines: Line[] = [];
  const head = r.chance(0.8) ? "centred" : "left";
  if (r.chance(0.25)) lines.push({ kind: "logo" });
  lines.push({ kind: head, text: say(r.one(shops)), size: r.between(1, 1.8), bold: r.chance(0.5) });
  lines.push({ kind: head, text: say(r.one(streets)) });
  if (r.chance(0.7))
    lines.push({ kind: head, text: `Tel: ${r.whole(100, 999)}-${r.whole(1000, 9999)} ${r.whole(10, 99)}` });
  if (r.chance(0.5)) lines.push({ kind: head, text: say(`Tax Id: ${r.whole(1e8, 9e8)}`) });
  lines.push({ kind: r.chance(0.5) ? "rule" : "gap" });
  const date = `${r.whole(10, 28)}/0${r.whole(1, 9)}/20${r.whole(10, 26)}`;
  lines.push({
    kind: "row",
    text: say(`Date: ${date}`),
    right: r.chance(0.5) ? `${r.whole(10, 22)}:${r.whole(10, 59)}` : "",
  });
  if (r.chance(0.6)) lines.push({ kind: "left", text: say(`Invoice No: ${r.whole(1e4, 9e6)}`) });
  if (r.chance(0.4))
    lines.push({ kind: "left", text: say(`Cashier: ${r.one(["Anna", "Budi", "Kim", "Pos 2"])}`) });
  lines.push({ kind: r.chance(0.6) ? "rule" : "gap" });
  const twoLines = r.chance(0.3);
  for (let n = r.whole(2, r.chance(0.2) ? most : 14); n > 0; n -= 1) {
    const name = say(`${r.one(goods)} ${r.chance(0.6) ? r.one(goods) : ""}`.trim());
    const quantity = String(r.whole(1, 9));
    if (twoLines) {
      lines.push({ kind: "left", text: name });
      lines.push({ kind: "row", text: `   ${quantity} x ${money(r, 20)}`, right: money(r) });
    } else lines.push({ kind: "row", text: r.chance(0.5) ? `${quantity} ${name}` : name, right: money(r) });
  }
  lines.push({ kind: r.chance(0.7) ? "rule" : "gap" });
  if (r.chance(0.7)) lines.push({ kind: "row", text: say("Subtotal"), right: money(r, 200) });
  if (r.chance(0.6)) lines.push({ kind: "row", text: say(r.one(taxes)), right: money(r) });
  lines.push({
    kind: "row",
    text: say(r.one(totals)),
    right: money(r, 250),
    size: r.between(1, 1.6),
    bold: r.chance(0.6),
  });
  if (r.chance(0.6)) lines.push({ kind: "row", text: say("Cash"), right: money(r, 300) });
  if (r.chance(0.5)) lines.push({ kind: "row", text: say("Change"), right: money(r, 50) });
  lines.push({ kind: "gap" });
  if (r.chance(0.25)) lines.push({ kind: "barcode" });
  for (let n = r.whole(0, 3); n > 0; n -= 1)
    lines.push({ kind: r.chance(0.8) ? "centred" : "left", text: say(r.one(closings)) });
  return lines;
}

const escaped = (text: string) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

export interface Paper {
  svg: string;
  width: number;
  height: number;
  lines: number;
  amounts: number;
  /** Without print, on each side. */
  margin: number;
}

/** The paper alone, its upper left corner at 0, 0; text of `font` pixels. */
export function paperOf(
  r: Random,
  { family, font, ink, most = 40 }: { family: string; font: number; ink: string; most?: number },
): Paper {
  const margin = font * r.between(0.8, 3);
  const width = font * r.between(17, 30) + 2 * margin;
  const pitch = font * r.between(1.05, 1.6);
  const parts: string[] = [];
  let y = margin + font;
  const put = (x: number, text: string, how: { anchor: string; size: number; bold: boolean }) =>
    parts.push(
      `<text xml:space="preserve" x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${how.anchor}" font-size="${(font * how.size).toFixed(1)}"${how.bold ? ' font-weight="bold"' : ""}>${escaped(text)}</text>`,
    );
  const lines = linesOf(r, most);
  for (const line of lines) {
    if (line.kind === "gap") y += pitch * r.between(0.4, 1.2);
    else if (line.kind === "rule") {
      const dash = r.one(["", ` stroke-dasharray="${font * 0.5} ${font * 0.25}"`]);
      parts.push(
        `<path d="M${margin} ${y - font * 0.3}H${width - margin}" stroke="${ink}" stroke-width="${font * 0.08}"${dash}/>`,
      );
      y += pitch * 0.8;
    } else if (line.kind === "barcode") {
      for (let x = margin * 2; x < width - margin * 2; x += font * r.between(0.15, 0.5))
        parts.push(`<rect x="${x}" y="${y}" width="${font * r.between(0.06, 0.2)}" height="${font * 3}"/>`);
      y += font * 3 + pitch;
    } else if (line.kind === "logo") {
      const radius = font * r.between(1, 2.2);
      parts.push(
        `<ellipse cx="${width / 2}" cy="${y + radius}" rx="${radius * r.between(1, 2)}" ry="${radius}"/>`,
      );
      y += radius * 2 + pitch;
    } else {
      const { text = "", right = "", size = 1, bold = false } = line;
      y += pitch * (size - 1);
      if (line.kind === "centred") put(width / 2, text, { anchor: "middle", size, bold });
      else if (line.kind === "left") put(margin, text, { anchor: "start", size, bold });
      else {
        put(margin, text, { anchor: "start", size, bold });
        put(width - margin, right, { anchor: "end", size, bold });
      }
      y += pitch;
    }
  }
  return {
    svg: `<g font-family="${family}" fill="${ink}">${parts.join("")}</g>`,
    width,
    height: y + margin,
    lines: lines.filter(({ kind }) => kind === "centred" || kind === "left" || kind === "row").length,
    amounts: lines.filter(({ kind, right }) => kind === "row" && right !== "").length,
    margin,
  };
}

/** A gray level as a color, slightly warm or cold. */
export function tone(r: Random, level: number): string {
  const warm = r.between(-12, 12);
  const at = (value: number) => Math.round(Math.max(0, Math.min(255, value)));
  return `rgb(${at(level + warm)},${at(level)},${at(level - warm)})`;
}

export function tableOf(r: Random, width: number, height: number): string {
  const level = r.one([r.between(20, 90), r.between(90, 170), r.between(170, 225)]);
  const parts = [`<rect width="${width}" height="${height}" fill="${tone(r, level)}"/>`];
  if (r.chance(0.4)) {
    // Wood or cloth: stripes of any direction.
    const step = r.between(8, 60);
    const turn = r.one([0, 90, r.between(0, 180)]);
    const far = Math.hypot(width, height);
    for (let at = -far; at < far; at += step * r.between(0.5, 1.5))
      parts.push(
        `<rect x="${-far}" y="${at}" width="${2 * far}" height="${step * r.between(0.1, 0.6)}" fill="${tone(r, level + r.between(-25, 25))}" opacity="0.6" transform="translate(${width / 2} ${height / 2}) rotate(${turn})"/>`,
      );
  }
  if (r.chance(0.25)) {
    // A weave, a grain, or objects on the table.
    const size = r.between(6, 40);
    const kind = r.whole(0, 2);
    for (let n = 0; n < 350; n += 1) {
      const [x, y] = [r.between(0, width), r.between(0, height)];
      const fill = tone(r, level + r.between(-70, 70));
      if (kind === 0)
        parts.push(
          `<ellipse cx="${x}" cy="${y}" rx="${size * r.between(0.2, 1)}" ry="${size * r.between(0.2, 1)}" fill="${fill}"/>`,
        );
      else
        parts.push(
          `<rect x="${x}" y="${y}" width="${size}" height="${size * (kind === 1 ? 0.3 : r.between(0.2, 2))}" fill="${fill}" transform="rotate(${r.one([0, 45, 90, r.between(0, 180)])} ${x} ${y})"/>`,
        );
    }
  }
  return parts.join("");
}

export interface How {
  fonts: readonly string[];
  /** Most degrees of tilt either way; default 10. */
  mostTilt?: number;
  /** Height of a line of text in pixels: least and most; default 14 to 34. */
  text?: readonly [number, number];
  /** Degradation is multiplied by this; default 1. */
  wear?: number;
}

/** One receipt. The same seed and fonts give the same bytes. */
export async function draw(
  seed: number,
  { fonts, mostTilt = 10, text = [14, 34], wear = 1 }: How,
): Promise<Drawn> {
  const r = random(seed);
  const flat = r.chance(0.35);
  const font = r.between(...text);
  const faint = r.chance(0.25);
  const ink = tone(r, faint ? r.between(90, 140) : r.between(10, 80));
  const paper = paperOf(r, { family: r.one(fonts), font, ink });
  const tilt = r.chance(0.4) ? r.between(-0.5, 0.5) : r.between(-mostTilt, mostTilt);
  const border = flat && Math.abs(tilt) < 1 ? 0 : font * r.between(0.5, 6);
  const turn = Math.abs((tilt * Math.PI) / 180);
  const width = Math.ceil(paper.width * Math.cos(turn) + paper.height * Math.sin(turn) + 2 * border);
  const height = Math.ceil(paper.height * Math.cos(turn) + paper.width * Math.sin(turn) + 2 * border);
  const level = r.between(175, 252);
  const shade = r.between(0, 70) * wear;
  const angle = r.whole(0, 359);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><defs>
<linearGradient id="s" gradientTransform="rotate(${angle} 0.5 0.5)"><stop offset="0" stop-color="#000" stop-opacity="0"/><stop offset="${r.between(0.3, 0.7).toFixed(2)}" stop-color="#000" stop-opacity="0"/><stop offset="1" stop-color="#000" stop-opacity="${(shade / 255).toFixed(3)}"/></linearGradient></defs>
${tableOf(r, width, height)}<g transform="translate(${width / 2} ${height / 2}) rotate(${tilt.toFixed(3)}) translate(${-paper.width / 2} ${-paper.height / 2})"><rect width="${paper.width}" height="${paper.height}" fill="${tone(r, level)}"/>${foldsOf(r, paper)}${paper.svg}</g><rect width="${width}" height="${height}" fill="url(#s)"/></svg>`;
  const { lines, amounts } = paper;
  return { bytes: await worn(r, Buffer.from(svg), wear), tilt, lines, amounts };
}

export function foldsOf(r: Random, { width, height }: Pick<Paper, "width" | "height">): string {
  if (!r.chance(0.3)) return "";
  return Array.from({ length: r.whole(1, 3) }, () => {
    const y = r.between(0.1, 0.9) * height;
    return `<path d="M0 ${y}L${width} ${y + r.between(-8, 8)}" stroke="#000" stroke-opacity="${r.between(0.05, 0.25)}" stroke-width="${r.between(1, 5)}"/>`;
  }).join("");
}

/** Blur, noise and JPEG, as a camera adds them. */
export async function worn(r: Random, svg: Buffer, wear: number): Promise<Buffer> {
  const blur = r.chance(0.5) ? r.between(0.4, 1.6) * wear : 0;
  // Tests share a process, and the product blocks the formats that it does not read (core/image/native.ts), SVG among
  // them.
  sharp.unblock({ operation: ["VipsForeignLoadSvg"] });
  let picture = sharp(svg).flatten({ background: "#ffffff" }).removeAlpha();
  if (blur > 0.3) picture = picture.blur(blur);
  const { data, info } = await picture.raw().toBuffer({ resolveWithObject: true });
  const noise = r.between(0, 14) * wear;
  for (let at = 0; at < data.length; at += info.channels) {
    const change = (r.next() + r.next() - 1) * noise;
    for (let c = 0; c < info.channels; c += 1)
      data[at + c] = Math.max(0, Math.min(255, (data[at + c] ?? 0) + change));
  }
  return await sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } })
    .jpeg({ quality: r.whole(55, 92) })
    .toBuffer();
}
