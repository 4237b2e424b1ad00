type LogMethod = (fields: Record<string, unknown>, message: string) => void;

/** What rooms need of a logger; pino satisfies it. Constant message, data in fields, `err` for errors. */
export interface Logger {
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
  child(bindings: Record<string, unknown>): Logger;
}

const ignore: LogMethod = () => undefined;

/** For commands and tests that report in another way. */
export const silentLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
};
