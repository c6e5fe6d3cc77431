// A certificate for `engine.test`, `localhost` and 127.0.0.1 that no authority signed, valid until 2046.
// The key is public by being here, and good for nothing but tests.

export const certificate = `
-----BEGIN CERTIFICATE-----
MIIBrjCCAVSgAwIBAgIUdfxASGVRacrgnUkQe4aQyC585R4wCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNdGllcmxpbmUtdGVzdDAeFw0yNjExMjEwMzQ1MjhaFw00NjEx
MTYwMzQ1MjhaMBgxFjAUBgNVBAMMDXRpZXJsaW5lLXRlc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAATSqX11JNpnxv7wMOub4SBfmjMCVG7Lu/zkBxFCYyA06GXO
1dCHicvoqupUa9OXpeVUQO8qOlA3N9sdza74DwyIo3wwejAdBgNVHQ4EFgQU3UA6
wrt0tY4vgf1PwDKCmQvAboQwHwYDVR0jBBgwFoAU3UA6wrt0tY4vgf1PwDKCmQvA
boQwDwYDVR0TAQH/BAUwAwEB/zAnBgNVHREEIDAeggtlbmdpbmUudGVzdIIJbG9j
YWxob3N0hwR/AAABMAoGCCqGSM49BAMCA0gAMEUCIQC9zme4fWqHkp+u2toKBsjK
JehY1kFkUn3cDV9fNA1lRQIgHWUYJi92kGAYmD3ri6Il+jjKO7R9t1/QbBBkaWxR
fV8=
-----END CERTIFICATE-----
`;

export const privateKey = `
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPrFiwy+cxiMaK4my
QV7Bp6pywyn3E4C40LiyqI7Ey2qhRANCAATSqX11JNpnxv7wMOub4SBfmjMCVG7L
u/zkBxFCYyA06GXO1dCHicvoqupUa9OXpeVUQO8qOlA3N9sdza74DwyI
-----END PRIVATE KEY-----
`;
