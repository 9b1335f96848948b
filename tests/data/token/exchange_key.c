/* Whoever has the token's PIN puts a P-256 key of his own in the place of a signer's: the same id, label and attributes. It is made in
 * the token; with SCALAR and POINT (CKA_VALUE and CKA_EC_POINT in hexadecimal) it is one that was made elsewhere and put in.
 * usage: exchange_key MODULE LABEL PIN TEXT-IN-THE-KEY'S-LABEL [SCALAR POINT] */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST_PTR f;
static CK_SESSION_HANDLE session;

/* Attributes that the new objects take over from the old ones. */
static const CK_ATTRIBUTE_TYPE of_private[] = {
    CKA_TOKEN,  CKA_PRIVATE, CKA_MODIFIABLE, CKA_COPYABLE,     CKA_SENSITIVE,          CKA_EXTRACTABLE, CKA_WRAP_WITH_TRUSTED,  CKA_SIGN, CKA_DECRYPT,
    CKA_UNWRAP, CKA_DERIVE,  CKA_ID,         CKA_SIGN_RECOVER, CKA_ALWAYS_AUTHENTICATE, CKA_LABEL,       CKA_ALLOWED_MECHANISMS};
static const CK_ATTRIBUTE_TYPE of_public[] = {CKA_TOKEN,          CKA_PRIVATE, CKA_MODIFIABLE, CKA_COPYABLE, CKA_VERIFY, CKA_VERIFY_RECOVER,
                                              CKA_ENCRYPT,        CKA_WRAP,    CKA_DERIVE,     CKA_ID,       CKA_LABEL,  CKA_EC_PARAMS};
enum { most = 24 };

static int label_holds(CK_OBJECT_HANDLE object, const char* text) {
  char label[256] = {0};
  CK_ATTRIBUTE attribute = {CKA_LABEL, label, sizeof label - 1};
  return f->C_GetAttributeValue(session, object, &attribute, 1) == CKR_OK && strstr(label, text) != NULL;
}

static CK_OBJECT_HANDLE find(CK_OBJECT_CLASS wanted, const char* text) {
  CK_ATTRIBUTE search = {CKA_CLASS, &wanted, sizeof wanted};
  CK_OBJECT_HANDLE keys[256];
  CK_ULONG count = 0;
  if (f->C_FindObjectsInit(session, &search, 1) != CKR_OK || f->C_FindObjects(session, keys, 256, &count) != CKR_OK) exit(2);
  f->C_FindObjectsFinal(session);
  for (CK_ULONG i = 0; i < count; ++i) {
    if (label_holds(keys[i], text)) return keys[i];
  }
  exit(3);
}

static CK_ULONG take_over(CK_OBJECT_HANDLE object, const CK_ATTRIBUTE_TYPE* types, CK_ULONG count, CK_ATTRIBUTE* attributes) {
  CK_ULONG taken = 0;
  for (CK_ULONG i = 0; i < count; ++i) {
    CK_ATTRIBUTE attribute = {types[i], malloc(512), 512};
    if (f->C_GetAttributeValue(session, object, &attribute, 1) == CKR_OK) attributes[taken++] = attribute;
  }
  return taken;
}

static CK_ULONG octets_of(const char* text, CK_BYTE* octets, CK_ULONG room) {
  CK_ULONG count = 0;
  for (; count < room && text[2 * count] != 0; ++count) {
    const char pair[3] = {text[2 * count], text[2 * count + 1], 0};
    octets[count] = (CK_BYTE)strtoul(pair, NULL, 16);
  }
  return count;
}

/* An object of what was made elsewhere, with the attributes that were taken over. */
static CK_RV put_in(CK_OBJECT_CLASS kind, CK_ATTRIBUTE_TYPE type, const char* text, CK_ATTRIBUTE* attributes, CK_ULONG count) {
  static CK_KEY_TYPE ec = CKK_EC;
  static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
  CK_BYTE value[128];
  const CK_ATTRIBUTE own[] = {{CKA_CLASS, &kind, sizeof kind}, {CKA_KEY_TYPE, &ec, sizeof ec}, {type, value, octets_of(text, value, sizeof value)},
                              {CKA_EC_PARAMS, p256, sizeof p256}};
  /* The public half has its curve from the old object. */
  const CK_ULONG added = kind == CKO_PRIVATE_KEY ? 4 : 3;
  memcpy(attributes + count, own, added * sizeof *own);
  CK_OBJECT_HANDLE object;
  return f->C_CreateObject(session, attributes, count + added, &object);
}

int main(int argc, char** argv) {
  if (argc != 5 && argc != 7) return 1;
  void* module = dlopen(argv[1], RTLD_NOW);
  CK_C_GetFunctionList get = module ? (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList") : NULL;
  if (get == NULL || get(&f) != CKR_OK || f->C_Initialize(NULL) != CKR_OK) return 1;
  CK_SLOT_ID slots[64];
  CK_ULONG slot_count = 64;
  if (f->C_GetSlotList(CK_TRUE, slots, &slot_count) != CKR_OK) return 1;
  for (CK_ULONG i = 0; i < slot_count; ++i) {
    CK_TOKEN_INFO info;
    if (f->C_GetTokenInfo(slots[i], &info) == CKR_OK && strncmp((const char*)info.label, argv[2], strlen(argv[2])) == 0) {
      if (f->C_OpenSession(slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session) != CKR_OK) return 4;
    }
  }
  if (f->C_Login(session, CKU_USER, (CK_BYTE_PTR)argv[3], strlen(argv[3])) != CKR_OK) return 5;
  const CK_OBJECT_HANDLE secret = find(CKO_PRIVATE_KEY, argv[4]), shown = find(CKO_PUBLIC_KEY, argv[4]);
  CK_ATTRIBUTE attributes[most], public_attributes[most];
  const CK_ULONG count = take_over(secret, of_private, sizeof of_private / sizeof *of_private, attributes);
  const CK_ULONG public_count = take_over(shown, of_public, sizeof of_public / sizeof *of_public, public_attributes);
  if (f->C_DestroyObject(session, secret) != CKR_OK || f->C_DestroyObject(session, shown) != CKR_OK) return 6;
  if (argc == 7) {
    if (put_in(CKO_PUBLIC_KEY, CKA_EC_POINT, argv[6], public_attributes, public_count) != CKR_OK) return 8;
    return put_in(CKO_PRIVATE_KEY, CKA_VALUE, argv[5], attributes, count) == CKR_OK ? 0 : 9;
  }
  CK_MECHANISM generate = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
  CK_OBJECT_HANDLE made, made_public;
  return f->C_GenerateKeyPair(session, &generate, public_attributes, public_count, attributes, count, &made_public, &made) == CKR_OK ? 0 : 7;
}
