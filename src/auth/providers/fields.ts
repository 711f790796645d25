import { text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";

/** The position of the credential in a request. */
export const placement = {
  header: Type.Optional(text("header", { description: "Request header that carries it." })),
  scheme: Type.Optional(
    text("token", {
      description:
        "The word before it in the header, such as Bearer. Left out: Bearer in `authorization`, none in other headers.",
    }),
  ),
  cookie: Type.Optional(text("token", { description: "Cookie that carries it." })),
  query: Type.Optional(
    text("nonempty", {
      description: "Query parameter that carries it. URLs are logged in many places: prefer a header.",
    }),
  ),
};

export const cacheSize = Type.Integer({
  minimum: 2,
  maximum: 10_000_000,
  default: 10_000,
  description: "Maximum number of remembered credentials.",
});

export const claimsToMetadata = Type.Record(
  Type.String({ pattern: "^.+$" }),
  text("header", { description: "Name of the metadata." }),
  {
    default: {},
    propertyNames: { description: "the name of a claim, dots for nested ones" },
    description:
      "Metadata that the backend gets, name by claim. Lists are joined by commas, objects are JSON; what is not printable ASCII is percent-encoded.",
  },
);
