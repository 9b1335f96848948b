/* A PKCS#11 module that hands out what it must keep: SoftHSM with a C_WrapKey that "wraps" every key, exportable or not. The SAM must not
 * hold signers' keys in such a token (tests/feature/custody). */
#include <dlfcn.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST functions;

static CK_RV wrap_anything(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                           CK_BYTE_PTR wrapped, CK_ULONG_PTR length) {
  (void)session, (void)mechanism, (void)wrapping, (void)key;
  if (wrapped != NULL) memset(wrapped, 0, 40);
  *length = 40;
  return CKR_OK;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  if (functions.C_Initialize == NULL) {
    void* module = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) return CKR_GENERAL_ERROR;
    CK_C_GetFunctionList real = (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList");
    CK_FUNCTION_LIST_PTR found = NULL;
    if (real == NULL || real(&found) != CKR_OK) return CKR_GENERAL_ERROR;
    functions = *found;
    functions.C_WrapKey = wrap_anything;
  }
  *list = &functions;
  return CKR_OK;
}
