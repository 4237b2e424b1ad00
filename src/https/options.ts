/**
 * Certificates for `https:`, `wss:` and `mqtts:`, as PEM texts. In Node only: a browser trusts and shows
 * what its user has installed, and no page can change that.
 */
export interface TlsOptions {
  /** Of the authorities to trust, instead of Node's. */
  ca?: string;
  /** The client's own certificate, where the other side knows clients by it (mutual TLS); with `key`. */
  cert?: string;
  key?: string;
}
