export { type Clock, systemClock } from "./clock.js";
export {
  AppError,
  ERROR_CODES,
  type ErrorCode,
  errorMessage,
  isAppError,
  isErrorCode,
} from "./errors.js";
export { type Logger, silentLogger } from "./logger.js";
export { isLoopback } from "./loopback.js";
export { nearest, suggestion } from "./nearest.js";
export { type Random, seededRandom } from "./random.js";
export { Teardown, type TeardownOptions } from "./teardown.js";
export { matchesGlob, printable } from "./text.js";
