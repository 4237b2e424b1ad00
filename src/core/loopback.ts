const IPV4_LOOPBACK = /^127(\.\d{1,3}){3}$/;

/** True for a host to listen on that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || IPV4_LOOPBACK.test(host);
}
