// OpenSSL for Swift: its headers, and under `copenssl_` names what they define as macros, which
// Swift cannot see.
#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

#include <malloc.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "vault-redirector needs OpenSSL 3.0 or newer"
#endif

static inline int copenssl_set_protocol_versions(SSL_CTX *context, int min, int max) {
  return SSL_CTX_set_min_proto_version(context, min) && SSL_CTX_set_max_proto_version(context, max);
}

static inline int copenssl_set_groups(SSL_CTX *context, const char *list) {
  return (int)SSL_CTX_set1_groups_list(context, list);
}

/// The most that one record which is sent may carry.
static inline int copenssl_set_send_bytes(SSL_CTX *context, int bytes) {
  return (int)SSL_CTX_set_max_send_fragment(context, bytes);
}

/// How every connection of this server behaves, whatever the policy; each choice is explained where
/// this is called.
static inline void copenssl_set_behaviour(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

/// Has what is read from now on wiped where it was decrypted. With this set a session that ends also wipes its whole record
/// buffer, 16 KiB of ciphertext: hence it is set for a read, and not for good.
static inline void copenssl_wipe_plaintext(SSL *ssl, int wipes) {
  if (wipes) {
    SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
  } else {
    SSL_clear_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
  }
}

/// Puts an error of ours (`ERR_LIB_USER`, `reason`) in this thread's queue.
static inline void copenssl_raise(int reason) { ERR_raise(ERR_LIB_USER, reason); }

/// The number under which contexts keep an object of ours; `release` is called when one is freed.
static inline int copenssl_context_index(CRYPTO_EX_free *release) {
  return SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, release);
}

/// Readies what encrypts or decrypts a session ticket: HMAC-SHA256 over AES-CBC.
static inline int copenssl_prepare_ticket(EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                                          const EVP_CIPHER *algorithm, const unsigned char *key,
                                          const unsigned char *mac_key, size_t mac_key_size,
                                          const unsigned char *iv, int encrypt) {
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)mac_key, mac_key_size),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, parameters) &&
         EVP_CipherInit_ex(cipher, algorithm, NULL, key, iv, encrypt);
}

/// Writes a name as RFC 2253 has it, but in UTF-8: control characters and separators are escaped.
static inline int copenssl_print_name(BIO *bio, const X509_NAME *name) {
  return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
}

/// The memory a BIO has collected; it stays the BIO's.
static inline long copenssl_memory(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

#endif
