/** All of this folder that the roles need of certificates, in one place. */
export { createCaCsr, createKeyAndCsr, requestKeyId } from "./certificate_request.ts";
export { belongTogether, signedText, signText } from "./key_proof.ts";
export { equalTexts } from "./constant_time.ts";
export { inspect, issue, verifyCertificate } from "./node_certificate.ts";
export type { CertificateFacts } from "./node_certificate.ts";
export { caDigest, checkCrossSigned, checkRootCa, createRootCa, crossSign } from "./root_ca.ts";
export { rootNames } from "./root_ca.ts";
