// SHA-256 (FIPS 180-4), for what others name by it: the policy of a page names its script so.
#pragma once
#include <stddef.h>

enum { SHA256_BYTES = 32, SHA256_BASE64 = 45 };  // the latter with its end

void sha256(const void *bytes, size_t length, unsigned char out[SHA256_BYTES]);
// The digest in base 64, as a Content-Security-Policy has it.
void sha256_base64(const void *bytes, size_t length, char out[SHA256_BASE64]);
