import { resolved, withoutNull } from "./documents.js";
import { el, field, oneLine } from "./dom.js";

/** The types of forms, by what they are called. */
export const formTypes = {
  "multipart/form-data": "Form with files (multipart)",
  "application/x-www-form-urlencoded": "Form (urlencoded)",
};

/** The body of a request as a form: a field for each part. */
export class FormFields {
  /** @param media the Media Type Object of the form */
  constructor(document, type, { schema = {}, encoding = {} }) {
    this.type = type;
    this.parts = Object.entries(resolved(document, schema).properties ?? {}).map(([name, property]) => {
      const target = withoutNull(resolved(document, withoutNull(property)));
      const several = target.type === "array";
      const item = several ? resolved(document, target.items ?? {}) : target;
      const file = item.format === "binary";
      const json = encoding[name]?.contentType === "application/json";
      const input = file
        ? el("input", { type: "file", multiple: several })
        : several || json
          ? el("textarea", { rows: "2", spellcheck: "false", class: json ? "code" : undefined })
          : el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
      const hint = [
        oneLine(property.description ?? "", 160),
        json ? "JSON." : several && !file && "One value per line.",
      ]
        .filter(Boolean)
        .join(" ");
      return { name, input, file, json, several, hint };
    });
    this.element = el(
      "div",
      { class: "form" },
      this.parts.map(({ name, input, hint }) => field(name, input, { hint })),
    );
  }

  /** `[name, value]` each, a value a text or a Blob; what is empty is left out. */
  pairs() {
    return this.parts.flatMap(({ name, input, file, json, several }) => {
      if (file) return [...input.files].map(each => [name, each]);
      if (input.value === "") return [];
      if (json) return [[name, new Blob([input.value], { type: "application/json" })]];
      return valuesOf(input, several).map(value => [name, value]);
    });
  }

  /** What is sent; the browser adds its content type. */
  body() {
    const body = this.type === "multipart/form-data" ? new FormData() : new URLSearchParams();
    for (const [name, value] of this.pairs()) body.append(name, value);
    return body;
  }

  /** The words of curl that send the same. */
  words() {
    const option = this.type === "multipart/form-data" ? "-F" : "--data-urlencode";
    return this.parts.flatMap(({ name, input, file, json, several }) => {
      if (file) return [...input.files].map(each => [option, `${name}=@${each.name}`]);
      if (input.value === "") return [];
      if (json) return [[option, `${name}=${input.value};type=application/json`]];
      return valuesOf(input, several).map(value => [option, `${name}=${value}`]);
    });
  }
}

function valuesOf({ value }, several) {
  return several ? value.split("\n").filter(each => each !== "") : [value];
}
