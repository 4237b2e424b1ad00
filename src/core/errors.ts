/** Every code an AppError can carry, with what it means. `docs/errors.md` is kept equal to this table by a test. */
export const ERROR_CODES = {
  USAGE: "The command line is wrong.",
  CONFIG_INVALID: "A configuration file has errors; each is printed with its line.",
  MODEL_UNREADABLE: "The file is missing, cannot be read, or is not an ONNX model.",
  MODEL_UNSUPPORTED: "The model is valid but uses something that cannot be cut or run here.",
  MODEL_TOO_LARGE: "The model passes a named limit on bytes, layers or nesting.",
  MODEL_INPUT_UNBOUND: "An input has an axis of unknown length that no option binds.",
  MODEL_INPUT_INVALID:
    "A binding names an input the model lacks, or gives it a shape or value it cannot take.",
  MODEL_CHANGED: "The model's file was changed while it was in use.",
  MODEL_UNSTABLE: "The model computes something else each time, so its split cannot be checked.",
  MODEL_NOT_A_NUMBER:
    "The whole model computes NaN from its inputs, so that nothing can be compared with it.",
  MODEL_NOT_EQUAL: "The chain of all blocks does not compute what the whole model computes.",
  INFERENCE_FAILED: "ONNX Runtime refused to load or to run the model.",
  INFERENCE_PROVIDER: "A configured execution provider is not available on this machine.",
  INFERENCE_TIMEOUT: "A model did not answer within its time limit and was stopped.",
  INFERENCE_CRASHED: "The process that ran the model died.",
  INFERENCE_MEMORY: "A model used more memory than its limit and was stopped.",
  PROFILE_INVALID: "A profile is malformed or does not fit the others.",
  LINKS_INVALID: "A links file or link report is malformed.",
  TRACE_INVALID: "A recording of telemetry or bandwidth is malformed.",
  PLAN_INFEASIBLE:
    "No configuration meets the constraints; the message says which one stands in the way.",
  BROKER_UNAVAILABLE: "The MQTT broker cannot be reached or refuses the login.",
  COMMAND_FAILED: "A node answered a command with an error.",
  COMMAND_TIMEOUT: "A node did not answer a command in time.",
  NODE_LOST: "A node went offline or was restarted in the middle of a measurement.",
  STORE_WRITE_FAILED: "The state file could not be written; the last good plan stays in force.",
  STORE_LOCKED: "Another daemon uses this state directory.",
  FILE_UNWRITABLE: "A file that a command was asked for could not be written.",
  LISTEN_FAILED: "A port could not be opened.",
  LISTEN_UNPROTECTED: "The daemon refuses to listen beyond loopback without being told so.",
  STREAM_PROTOCOL: "The other side of the update stream broke the protocol.",
  DAEMON_UNREACHABLE: "No daemon answers at this address.",
  DEMO_FAILED: "The demo did not see a re-plan that it expected.",
  ABORTED: "The work was stopped because the program is stopping.",
  INTERNAL: "A fault of scissiond itself; please report it.",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Whether a text, of another program for instance, is one of the codes. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}

/** An operating error: something a caller can decide about. Branch on `code`, never on the message. */
export class AppError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "AppError";
    this.code = code;
  }
}

export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}

/** One line that says what went wrong, whatever was thrown; of several errors in one the first. */
export function errorMessage(error: unknown): string {
  // A host with several addresses fails at each, and the whole says nothing.
  if (error instanceof AggregateError && error.message === "" && error.errors.length > 0) {
    return errorMessage(error.errors[0]);
  }
  return error instanceof Error ? error.message : String(error);
}
