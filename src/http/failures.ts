export { requestFailure, responseFailure } from "../transcode/failure.js";
export { callFailure } from "../upstream/call-failure.js";
