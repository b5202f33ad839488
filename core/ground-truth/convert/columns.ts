/** What is wrong with the names of a table's columns, which are paths of labels; "" is a column without a name. */
export function problems(names: readonly string[]): string[] {
  const found: string[] = [];
  for (const [i, name] of names.entries()) {
    if (name === "") continue;
    const shown = JSON.stringify(name);
    const same = names.indexOf(name);
    if (same < i) found.push(`columns ${same + 1} and ${i + 1} have the same name, ${shown}`);
    if (!/^[^[\]]+(\[\]\.[^[\]]+)?$/.test(name))
      found.push(`column ${i + 1} is called ${shown}: a cell of a list is written as items[].price`);
    const [list = ""] = name.split("[].", 1);
    const whole = list === name ? -1 : names.indexOf(list);
    if (whole >= 0)
      found.push(
        `columns ${whole + 1} and ${i + 1} label the same list: ${JSON.stringify(list)} and ${shown}`,
      );
  }
  return found;
}
