/* Whoever has the token's PIN tries to take each private key out of it: reads what is secret, wraps it under a key of his own, makes a copy
 * that may leave. One line for each attempt: class of key, attempt, CKR code. usage: take_keys MODULE LABEL PIN */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST_PTR f;

static CK_SLOT_ID slot_of(const char* label) {
  CK_SLOT_ID slots[64];
  CK_ULONG count = 64;
  if (f->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK) exit(2);
  for (CK_ULONG i = 0; i < count; ++i) {
    CK_TOKEN_INFO info;
    if (f->C_GetTokenInfo(slots[i], &info) == CKR_OK && strncmp((const char*)info.label, label, strlen(label)) == 0) return slots[i];
  }
  exit(3);
}

static CK_OBJECT_HANDLE own_wrapping_key(CK_SESSION_HANDLE session) {
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ULONG length = 32;
  CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
  CK_ATTRIBUTE attributes[] = {{CKA_TOKEN, &no, 1}, {CKA_WRAP, &yes, 1}, {CKA_VALUE_LEN, &length, sizeof length}};
  CK_OBJECT_HANDLE key = 0;
  if (f->C_GenerateKey(session, &generate, attributes, 3, &key) != CKR_OK) exit(4);
  return key;
}

int main(int argc, char** argv) {
  if (argc != 4) return 1;
  void* module = dlopen(argv[1], RTLD_NOW);
  CK_C_GetFunctionList get = module ? (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList") : NULL;
  if (get == NULL || get(&f) != CKR_OK || f->C_Initialize(NULL) != CKR_OK) return 1;
  CK_SESSION_HANDLE session;
  if (f->C_OpenSession(slot_of(argv[2]), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session) != CKR_OK) return 5;
  if (f->C_Login(session, CKU_USER, (CK_BYTE_PTR)argv[3], strlen(argv[3])) != CKR_OK) return 6;
  const CK_OBJECT_HANDLE wrapping = own_wrapping_key(session);

  CK_OBJECT_CLASS wanted = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE search = {CKA_CLASS, &wanted, sizeof wanted};
  CK_OBJECT_HANDLE keys[256];
  CK_ULONG count = 0;
  if (f->C_FindObjectsInit(session, &search, 1) != CKR_OK || f->C_FindObjects(session, keys, 256, &count) != CKR_OK) return 7;
  f->C_FindObjectsFinal(session);
  for (CK_ULONG i = 0; i < count; ++i) {
    CK_KEY_TYPE type = 0;
    CK_ATTRIBUTE kind = {CKA_KEY_TYPE, &type, sizeof type};
    if (f->C_GetAttributeValue(session, keys[i], &kind, 1) != CKR_OK) return 8;
    const char* name = type == CKK_RSA ? "rsa" : "ec";
    CK_BYTE secret[1024];
    CK_ATTRIBUTE value = {type == CKK_RSA ? CKA_PRIVATE_EXPONENT : CKA_VALUE, secret, sizeof secret};
    printf("%s read 0x%lx\n", name, f->C_GetAttributeValue(session, keys[i], &value, 1));
    CK_BYTE wrapped[4096];
    CK_ULONG length = sizeof wrapped;
    CK_MECHANISM wrap = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    printf("%s wrap 0x%lx\n", name, f->C_WrapKey(session, &wrap, wrapping, keys[i], wrapped, &length));
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE loose[] = {{CKA_EXTRACTABLE, &yes, 1}, {CKA_SENSITIVE, &no, 1}};
    printf("%s loosen 0x%lx\n", name, f->C_SetAttributeValue(session, keys[i], loose, 1));
    printf("%s unhide 0x%lx\n", name, f->C_SetAttributeValue(session, keys[i], loose + 1, 1));
    CK_OBJECT_HANDLE copy;
    printf("%s copy 0x%lx\n", name, f->C_CopyObject(session, keys[i], loose, 2, &copy));
  }
  return 0;
}
