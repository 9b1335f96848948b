#pragma once

/// The one door to the PKCS#11 declarations (v2.40 with EdDSA), in the names of the standard.
#include <p11-kit/pkcs11.h>
