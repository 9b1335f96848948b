/* What whoever has the token's PIN can ask of it, command by command on standard input; an answer a line: hex, or "refused STEP CKR".
 *   decrypt KEY IV AAD BYTES      AES-GCM under the key with this CKA_ID
 *   hmac KEY BYTES                HMAC-SHA-256
 *   argon2id SECRET SALT COST     not the token's, 1 lane; the cost: KiB and passes, 4 bytes each
 *   open MASTER KEYPASS INNER     unwraps the keypass under the master key, with it a P-256 key, and reads that
 * usage: token_user MODULE LABEL PIN */
#include <argon2.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST_PTR f;
static CK_SESSION_HANDLE session;

enum { most = 65536 };
struct bytes {
  CK_BYTE at[most];
  CK_ULONG length;
};
static struct bytes word[3];
static char name[256];

static void take_hex(const char* text, struct bytes* out) {
  out->length = 0;
  if (strcmp(text, "-") == 0) return;
  for (; text[0] && text[1] && out->length < most; text += 2) {
    unsigned value;
    if (sscanf(text, "%2x", &value) != 1) exit(2);
    out->at[out->length++] = (CK_BYTE)value;
  }
}

static void tell(const CK_BYTE* bytes, CK_ULONG length) {
  for (CK_ULONG i = 0; i < length; ++i) printf("%02x", bytes[i]);
  printf("\n");
}
static void refused(const char* step, CK_RV code) { printf("refused %s 0x%lx\n", step, code); }

static CK_OBJECT_HANDLE find(const char* id) {
  CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
  CK_ATTRIBUTE search[] = {{CKA_CLASS, &secret, sizeof secret}, {CKA_ID, (void*)id, strlen(id)}};
  CK_OBJECT_HANDLE key = 0;
  CK_ULONG count = 0;
  if (f->C_FindObjectsInit(session, search, 2) != CKR_OK || f->C_FindObjects(session, &key, 1, &count) != CKR_OK) exit(3);
  f->C_FindObjectsFinal(session);
  if (count != 1) {
    fprintf(stderr, "no key %s\n", id);
    exit(4);
  }
  return key;
}

static void decrypt(void) {
  static CK_BYTE out[most];
  CK_ULONG length = most;
  CK_GCM_PARAMS parameters = {word[0].at, word[0].length, word[0].length * 8, word[1].at, word[1].length, 128};
  CK_MECHANISM mechanism = {CKM_AES_GCM, &parameters, sizeof parameters};
  CK_RV code = f->C_DecryptInit(session, &mechanism, find(name));
  if (code == CKR_OK) code = f->C_Decrypt(session, word[2].at, word[2].length, out, &length);
  code == CKR_OK ? tell(out, length) : refused("decrypt", code);
}

static void hmac(void) {
  CK_BYTE out[32];
  CK_ULONG length = sizeof out;
  CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
  CK_RV code = f->C_SignInit(session, &mechanism, find(name));
  if (code == CKR_OK) code = f->C_Sign(session, word[0].at, word[0].length, out, &length);
  code == CKR_OK ? tell(out, length) : refused("hmac", code);
}

static void stretch(void) {
  CK_BYTE out[32];
  const CK_BYTE* c = word[2].at;
  if (word[2].length != 8) exit(5);
  const unsigned kib = (unsigned)c[0] << 24 | (unsigned)c[1] << 16 | (unsigned)c[2] << 8 | c[3];
  const unsigned passes = (unsigned)c[4] << 24 | (unsigned)c[5] << 16 | (unsigned)c[6] << 8 | c[7];
  if (argon2id_hash_raw(passes, kib, 1, word[0].at, word[0].length, word[1].at, word[1].length, out, sizeof out) != ARGON2_OK) exit(5);
  tell(out, sizeof out);
}

/* With attributes that suit a thief: what comes out is readable. */
static void open_key(void) {
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_OBJECT_CLASS secret = CKO_SECRET_KEY, own = CKO_PRIVATE_KEY;
  CK_KEY_TYPE aes = CKK_AES, ec = CKK_EC;
  CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
  CK_ATTRIBUTE keypass_template[] = {{CKA_CLASS, &secret, sizeof secret}, {CKA_KEY_TYPE, &aes, sizeof aes},   {CKA_TOKEN, &no, sizeof no},
                                     {CKA_SENSITIVE, &no, sizeof no},     {CKA_EXTRACTABLE, &yes, sizeof yes}, {CKA_UNWRAP, &yes, sizeof yes}};
  CK_ATTRIBUTE key_template[] = {{CKA_CLASS, &own, sizeof own},   {CKA_KEY_TYPE, &ec, sizeof ec},     {CKA_TOKEN, &no, sizeof no},
                                 {CKA_SENSITIVE, &no, sizeof no}, {CKA_EXTRACTABLE, &yes, sizeof yes}, {CKA_SIGN, &yes, sizeof yes}};
  CK_OBJECT_HANDLE keypass, key;
  CK_RV code = f->C_UnwrapKey(session, &mechanism, find(name), word[0].at, word[0].length, keypass_template, 6, &keypass);
  if (code != CKR_OK) {
    refused("keypass", code);
    return;
  }
  code = f->C_UnwrapKey(session, &mechanism, keypass, word[1].at, word[1].length, key_template, 6, &key);
  if (code != CKR_OK) {
    refused("key", code);
    return;
  }
  CK_BYTE value[128];
  CK_ATTRIBUTE read = {CKA_VALUE, value, sizeof value};
  code = f->C_GetAttributeValue(session, key, &read, 1);
  code == CKR_OK ? tell(value, read.ulValueLen) : refused("value", code);
}

int main(int argc, char** argv) {
  if (argc != 4) return 1;
  void* module = dlopen(argv[1], RTLD_NOW);
  CK_C_GetFunctionList get = module ? (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList") : NULL;
  if (get == NULL || get(&f) != CKR_OK || f->C_Initialize(NULL) != CKR_OK) return 1;
  CK_SLOT_ID slots[64];
  CK_ULONG slot_count = 64;
  if (f->C_GetSlotList(CK_TRUE, slots, &slot_count) != CKR_OK) return 1;
  for (CK_ULONG i = 0; i < slot_count; ++i) {
    CK_TOKEN_INFO info;
    if (f->C_GetTokenInfo(slots[i], &info) == CKR_OK && strncmp((const char*)info.label, argv[2], strlen(argv[2])) == 0) {
      if (f->C_OpenSession(slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session) != CKR_OK) return 1;
    }
  }
  if (f->C_Login(session, CKU_USER, (CK_BYTE_PTR)argv[3], strlen(argv[3])) != CKR_OK) return 1;
  static char line[4 * most];
  while (fgets(line, sizeof line, stdin)) {
    char* command = strtok(line, " \n");
    if (command == NULL) continue;
    const int named = strcmp(command, "argon2id") != 0;
    if (named) snprintf(name, sizeof name, "%s", strtok(NULL, " \n"));
    for (int i = 0; i < 3; ++i) {
      const char* text = strtok(NULL, " \n");
      take_hex(text ? text : "-", &word[i]);
    }
    if (strcmp(command, "decrypt") == 0) decrypt();
    else if (strcmp(command, "hmac") == 0) hmac();
    else if (strcmp(command, "argon2id") == 0) stretch();
    else if (strcmp(command, "open") == 0) open_key();
    else return 6;
  }
  return 0;
}
