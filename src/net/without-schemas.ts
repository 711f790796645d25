import type { FastifyServerOptions } from "fastify";

const unused = (): never => {
  throw new Error("no route of the gateway has a schema");
};

/** Options of Fastify for servers whose routes have no schemas: the compilers of schemas are not loaded, which are most of it. */
export const withoutSchemas: Pick<FastifyServerOptions, "schemaController"> = {
  schemaController: { compilersFactory: { buildValidator: unused, buildSerializer: unused } },
};
