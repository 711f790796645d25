/** A tRPC server that gives every call the same reply (`REPLY`, hexadecimal). */
import { startTrpcServer } from "../../src/demo/trpc/server.js";

const body = Buffer.from(process.env.REPLY ?? "", "hex");
const { port } = await startTrpcServer({
  methods: new Map([["/bench.v1.BenchService/GetMessage", () => ({ body })]]),
});
process.stdout.write(`listening ${port}\n`);
