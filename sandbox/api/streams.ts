// SPDX-License-Identifier: Apache-2.0
// What the API asks of the kubelet: run a command in a container, and read a container's log.

export type ExecTarget = {
  readonly namespace: string;
  readonly pod: string;
  readonly container?: string;
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
};

/** Characters. */
type TerminalSize = { readonly columns: number; readonly rows: number };

/** A running command. `kill` must be safe to call at any time, also after the exit. */
export type ExecSession = {
  /** Everything the command writes; ends soon after the exit. With a terminal, stderr is empty. */
  readonly stdout: AsyncIterable<Buffer>;
  readonly stderr: AsyncIterable<Buffer>;
  /** Resolves when the command may be given more. */
  write(chunk: Buffer): Promise<void>;
  /** No more stdin. */
  end(): void;
  resize(size: TerminalSize): void;
  /** The exit code; 128 + n for signal n. */
  readonly exited: Promise<number>;
  /** The client has gone: end the command. */
  kill(): void;
};

export type LogTarget = {
  readonly namespace: string;
  readonly pod: string;
  readonly container?: string;
  readonly follow: boolean;
  readonly tailLines?: number;
  readonly previous?: boolean;
  readonly sinceSeconds?: number;
  readonly timestamps?: boolean;
};
