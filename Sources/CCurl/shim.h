// libcurl's variadic setters and getters, one function a type, so that Swift can call them.
#ifndef CCURL_SHIM_H
#define CCURL_SHIM_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#if LIBCURL_VERSION_NUM < 0x074400
#error "libcurl 7.68 or newer is needed: curl_multi_poll and curl_multi_wakeup"
#endif

#pragma clang assume_nonnull begin

/// Both of libcurl's data callbacks: returns how many of `one * count` bytes were taken.
typedef size_t (*ccurl_data_callback)(char *bytes, size_t one, size_t count,
                                      void *_Nullable context);

static inline CURLcode ccurl_set_long(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}

/// libcurl copies the string.
static inline CURLcode ccurl_set_string(CURL *handle, CURLoption option,
                                        const char *_Nullable value) {
  return curl_easy_setopt(handle, option, value);
}

/// libcurl keeps the pointer.
static inline CURLcode ccurl_set_pointer(CURL *handle, CURLoption option, void *_Nullable value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode ccurl_set_data_callback(CURL *handle, CURLoption option,
                                               ccurl_data_callback callback) {
  return curl_easy_setopt(handle, option, callback);
}

static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}

static inline CURLcode ccurl_get_long(CURL *handle, CURLINFO info, long *value) {
  return curl_easy_getinfo(handle, info, value);
}

/// The socket of the connection that a finished transfer leaves open; -1 for none.
static inline int ccurl_kept_socket(CURL *handle) {
  curl_socket_t number = CURL_SOCKET_BAD;
  if (curl_easy_getinfo(handle, CURLINFO_ACTIVESOCKET, &number) != CURLE_OK) {
    return -1;
  }
  return number == CURL_SOCKET_BAD ? -1 : (int)number;
}

/// A connection that is older is not used again (libcurl 7.80).
static inline void ccurl_limit_age(CURL *handle, long seconds) {
#if LIBCURL_VERSION_NUM >= 0x075000
  curl_easy_setopt(handle, CURLOPT_MAXLIFETIME_CONN, seconds);
#else
  curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, 1L);
  (void)seconds;
#endif
}

/// Neither file:// nor anything else but HTTP, whatever a URL says.
static inline CURLcode ccurl_allow_http_only(CURL *handle) {
#if LIBCURL_VERSION_NUM >= 0x075500
  return curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  return curl_easy_setopt(handle, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/// Lets a handle go without waiting for its name resolution (libcurl 7.87).
static inline void ccurl_allow_quick_exit(CURL *handle) {
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
#else
  (void)handle;
#endif
}

/// A renewed CA file counts at the next handshake, not a day later (libcurl 7.87 keeps what it has read).
static inline void ccurl_reread_authorities(CURL *handle) {
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(handle, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#else
  (void)handle;
#endif
}

static int ccurl_limit_unacknowledged(void *_Nullable context, curl_socket_t descriptor,
                                      curlsocktype purpose) {
  (void)purpose;
  unsigned milliseconds = (unsigned)(size_t)context;
  // On a Unix socket this fails, and there is nothing to limit.
  (void)setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
  return CURL_SOCKOPT_OK;
}

/// TCP_USER_TIMEOUT (tcp(7)): a connection whose data stays unacknowledged for so long is dead.
static inline CURLcode ccurl_set_user_timeout(CURL *handle, unsigned milliseconds) {
  CURLcode code = curl_easy_setopt(handle, CURLOPT_SOCKOPTDATA, (void *)(size_t)milliseconds);
  if (code != CURLE_OK) {
    return code;
  }
  return curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, ccurl_limit_unacknowledged);
}

/// CURLAUTH_BASIC, which is a cast that Swift does not import.
static const long CCURL_BASIC = (long)CURLAUTH_BASIC;

/// The handle and the result of a finished transfer, out of libcurl's union.
static inline CURL *_Nullable ccurl_finished(CURLM *multi, CURLcode *result) {
  int left = 0;
  CURLMsg *message;
  while ((message = curl_multi_info_read(multi, &left)) != NULL) {
    if (message->msg == CURLMSG_DONE) {
      *result = message->data.result;
      return message->easy_handle;
    }
  }
  return NULL;
}

#pragma clang assume_nonnull end
#endif
