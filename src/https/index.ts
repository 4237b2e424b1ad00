export {
  certificateOutOfDate,
  type CertificateProblem,
  certificateProblem,
  refuseBadCertificates,
} from "./certificates.js";
export type { TlsOptions } from "./options.js";
export { type Credentials, request } from "./request.js";
