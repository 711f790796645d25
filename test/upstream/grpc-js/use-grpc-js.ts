import { underTest } from "../transport-under-test.js";

underTest.transport = "grpc-js";
