/** Structured logging as an interface, so that whoever runs the code decides where lines go. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Fields of a line. Ids use the keys `node`, `service`, `task`, `network`. Never put a secret here. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Logger {
  log(level: LogLevel, message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
}

/** Drops everything. */
export const silentLogger: Logger = {
  log: () => {},
  with: () => silentLogger,
};
