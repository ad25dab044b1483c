/*
 * A PKCS#11 module that passes every call on to a real one, and fails where the test says so.
 *
 * FAULT_REAL  the real module
 * FAULT_RULE  a file with one rule, `<function>[,<function>] <what> <times>`: `what` is a CKR number, hang, abort, own-iv or strip;
 *             times -1 means always. No file, no fault.
 * FAULT_LOG   a file to which the name of each watched function and its process are added when it is called.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define CK_PTR *
#define CK_DECLARE_FUNCTION(returnType, name) returnType name
#define CK_DECLARE_FUNCTION_POINTER(returnType, name) returnType(*name)
#define CK_CALLBACK_FUNCTION(returnType, name) returnType(*name)
#ifndef NULL_PTR
#define NULL_PTR 0
#endif
#include "pkcs11.h"

static CK_FUNCTION_LIST faulty;
static CK_FUNCTION_LIST_PTR real;

static int named(const char *functions, const char *name) {
  const char *at = strstr(functions, name);
  const char end = at ? at[strlen(name)] : 'x';
  return at && (at == functions || at[-1] == ',') && (end == ',' || end == 0);
}

/* What the rule says about this call: 0 for nothing. */
static int rule(const char *name, char *what) {
  FILE *log = fopen(getenv("FAULT_LOG"), "a");
  if (log) { fprintf(log, "%s %d\n", name, getpid()); fclose(log); }
  FILE *file = fopen(getenv("FAULT_RULE"), "r");
  if (!file) return 0;
  char function[64]; int times = 0;
  int fields = fscanf(file, "%63s %31s %d", function, what, &times);
  fclose(file);
  if (fields != 3 || !named(function, name) || times == 0) return 0;
  if (times > 0) {
    file = fopen(getenv("FAULT_RULE"), "w");
    if (file) { fprintf(file, "%s %s %d", function, what, times - 1); fclose(file); }
  }
  if (strcmp(what, "hang") == 0) for (;;) sleep(60);
  if (strcmp(what, "abort") == 0) abort();
  return 1;
}

#define WATCH(name, parameters, arguments)                                  \
  static CK_RV faulty_##name parameters {                                   \
    char what[32];                                                          \
    if (rule(#name, what)) return strtoul(what, NULL, 0);                   \
    return real->name arguments;                                            \
  }

WATCH(C_Login, (CK_SESSION_HANDLE s, CK_USER_TYPE u, CK_UTF8CHAR_PTR p, CK_ULONG l), (s, u, p, l))
WATCH(C_GetTokenInfo, (CK_SLOT_ID i, CK_TOKEN_INFO_PTR t), (i, t))
WATCH(C_OpenSession, (CK_SLOT_ID i, CK_FLAGS f, CK_VOID_PTR a, CK_NOTIFY n, CK_SESSION_HANDLE_PTR s), (i, f, a, n, s))
WATCH(C_Encrypt, (CK_SESSION_HANDLE s, CK_BYTE_PTR d, CK_ULONG l, CK_BYTE_PTR o, CK_ULONG_PTR n), (s, d, l, o, n))
WATCH(C_Decrypt, (CK_SESSION_HANDLE s, CK_BYTE_PTR d, CK_ULONG l, CK_BYTE_PTR o, CK_ULONG_PTR n), (s, d, l, o, n))
WATCH(C_GetSessionInfo, (CK_SESSION_HANDLE s, CK_SESSION_INFO_PTR i), (s, i))
WATCH(C_GenerateKey, (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_ATTRIBUTE_PTR t, CK_ULONG n, CK_OBJECT_HANDLE_PTR k), (s, m, t, n, k))
WATCH(C_GenerateKeyPair, (CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_ATTRIBUTE_PTR t, CK_ULONG n, CK_ATTRIBUTE_PTR u, CK_ULONG o, CK_OBJECT_HANDLE_PTR k, CK_OBJECT_HANDLE_PTR l), (s, m, t, n, u, o, k, l))

static CK_MECHANISM mechanism;
static CK_OBJECT_HANDLE key;
static CK_RV faulty_C_SignInit(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k) {
  char what[32];
  if (rule("C_SignInit", what)) return strtoul(what, NULL, 0);
  mechanism = *m;
  key = k;
  return real->C_SignInit(s, m, k);
}

/* `strip`: r and s without their leading zeros, as some tokens give them. Signs until both have one. */
static CK_RV faulty_C_Sign(CK_SESSION_HANDLE s, CK_BYTE_PTR d, CK_ULONG l, CK_BYTE_PTR o, CK_ULONG_PTR n) {
  char what[32];
  if (!rule("C_Sign", what)) return real->C_Sign(s, d, l, o, n);
  if (strcmp(what, "strip") != 0) return strtoul(what, NULL, 0);
  CK_ULONG room = *n;
  CK_RV rv;
  while ((rv = real->C_Sign(s, d, l, o, n)) == CKR_OK && (o[0] != 0 || o[32] != 0)) {
    *n = room;
    if ((rv = real->C_SignInit(s, &mechanism, key)) != CKR_OK) return rv;
  }
  memmove(o, o + 1, 31);
  memmove(o + 31, o + 33, 31);
  *n = 62;
  return rv;
}

/* `own-iv`: the token makes the IV and writes it into the parameters. */
static CK_RV faulty_C_EncryptInit(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k) {
  char what[32];
  if (m->mechanism != CKM_AES_GCM || !rule("C_EncryptInit", what)) return real->C_EncryptInit(s, m, k);
  if (strcmp(what, "own-iv") != 0) return strtoul(what, NULL, 0);
  CK_BYTE_PTR iv = *(CK_BYTE_PTR *)m->pParameter;
  memset(iv, 0xa5, 12);
  return real->C_EncryptInit(s, m, k);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  void *library = dlopen(getenv("FAULT_REAL"), RTLD_NOW | RTLD_LOCAL);
  if (!library) return CKR_GENERAL_ERROR;
  CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR) = (CK_RV (*)(CK_FUNCTION_LIST_PTR_PTR))dlsym(library, "C_GetFunctionList");
  CK_RV rv = get(&real);
  if (rv != CKR_OK) return rv;
  faulty = *real;
  faulty.C_Login = faulty_C_Login;
  faulty.C_GetTokenInfo = faulty_C_GetTokenInfo;
  faulty.C_OpenSession = faulty_C_OpenSession;
  faulty.C_SignInit = faulty_C_SignInit;
  faulty.C_Sign = faulty_C_Sign;
  faulty.C_EncryptInit = faulty_C_EncryptInit;
  faulty.C_Encrypt = faulty_C_Encrypt;
  faulty.C_Decrypt = faulty_C_Decrypt;
  faulty.C_GetSessionInfo = faulty_C_GetSessionInfo;
  faulty.C_GenerateKey = faulty_C_GenerateKey;
  faulty.C_GenerateKeyPair = faulty_C_GenerateKeyPair;
  *list = &faulty;
  return CKR_OK;
}
