/** The way from the root of a YAML document to a node: keys and list indexes. */
export type Path = readonly (string | number)[];

/** `services[0].methods.GetArticles`; keys that are not plain words are quoted, `upstreams["a b"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}
