/* Kinglet's C interface: open a model, turn text into tokens and back, read logits, generate, chat.
 *
 * Rules that hold for every function here:
 *  - It returns a kinglet_code, KINGLET_OK (0) on success. Where `error` is not NULL, what went wrong is written there.
 *    What was to be written elsewhere is then left as it was. No C++ exception ever leaves the library.
 *  - Objects are opaque; who opens one closes it. Closing NULL does nothing. A model outlives its sessions.
 *  - A structure that may grow starts with its size. Fill it with its _init function, then change what you want: a
 *    program built against an older header goes on working with a newer library.
 *  - Text is UTF-8 and given with its length in bytes; it need not end in NUL. `const char*` without a length must.
 *  - A model may be used from several threads at once; a session from one at a time.
 */
#ifndef KINGLET_KINGLET_H_
#define KINGLET_KINGLET_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(KINGLET_BUILD_DLL)
#define KINGLET_API __declspec(dllexport)
#elif defined(__GNUC__)
#define KINGLET_API __attribute__((visibility("default")))
#else
#define KINGLET_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

/** What kind of failure. */
typedef enum kinglet_code {
  KINGLET_OK = 0,
  KINGLET_INVALID_ARGUMENT = 1,   /**< the caller's words are off */
  KINGLET_NOT_FOUND = 2,          /**< a file, tensor or name that is not there */
  KINGLET_CORRUPT = 3,            /**< a file that breaks its own format */
  KINGLET_UNSUPPORTED = 4,        /**< well-formed, and not something this version can do */
  KINGLET_OUT_OF_RANGE = 5,       /**< a number, or the room for a result, outside what is needed */
  KINGLET_RESOURCE_EXHAUSTED = 6, /**< memory, context or another limit is used up */
  KINGLET_IO = 7,                 /**< the operating system refused a read or a write */
  KINGLET_CANCELLED = 8,          /**< someone asked for it to stop */
  KINGLET_INTERNAL = 9            /**< a bug in Kinglet */
} kinglet_code;

/** A failure and one line of text that ends in NUL. */
typedef struct kinglet_error {
  kinglet_code code;
  char text[512];
} kinglet_error;

/** The library's version, e.g. "0.1.0". */
KINGLET_API const char* kinglet_version(void);

/* ---- models ---- */

typedef int32_t kinglet_token;
typedef struct kinglet_model kinglet_model;

typedef struct kinglet_model_options {
  size_t size;           /**< set by kinglet_model_options_init */
  int32_t threads;       /**< 0: one for each processor */
  int32_t reference;     /**< not 0: the slow, readable kernels */
  uint64_t memory_bytes; /**< what the library may hold in all; 0: no limit */
} kinglet_model_options;

KINGLET_API void kinglet_model_options_init_sized(kinglet_model_options* options, size_t size);
static inline void kinglet_model_options_init(kinglet_model_options* options) {
  kinglet_model_options_init_sized(options, sizeof(*options));
}

/** Opens a model: a name that `kinglet pull` fetched, a GGUF file or a Hugging Face directory. `options` may be NULL. */
KINGLET_API kinglet_code kinglet_model_open(const char* name, const kinglet_model_options* options,
                                            kinglet_model** model, kinglet_error* error);
KINGLET_API void kinglet_model_close(kinglet_model* model);

KINGLET_API const char* kinglet_model_architecture(const kinglet_model* model); /**< e.g. "qwen2"; lives as the model */
KINGLET_API int32_t kinglet_model_vocab_size(const kinglet_model* model);       /**< logits in a row */
KINGLET_API int32_t kinglet_model_context_length(const kinglet_model* model);   /**< tokens the model was made for */
KINGLET_API uint64_t kinglet_model_parameter_count(const kinglet_model* model);
KINGLET_API int32_t kinglet_model_has_tokenizer(const kinglet_model* model);

/* ---- text and tokens ---- */

/** Flags of kinglet_tokenize and kinglet_detokenize. */
enum {
  KINGLET_PARSE_SPECIAL = 1, /**< special tokens in the text are tokens; otherwise they are text like any other */
  KINGLET_ADD_BOS = 2        /**< begin with the model's BOS token, where it has one */
};

/** Tokens of `text`. `*count` becomes how many there are; where that is more than `capacity`, nothing is written to
 *  `tokens` and KINGLET_OUT_OF_RANGE returned. A first call with capacity 0 asks for the count. */
KINGLET_API kinglet_code kinglet_tokenize(const kinglet_model* model, const char* text, size_t text_size,
                                          uint32_t flags, kinglet_token* tokens, size_t capacity, size_t* count,
                                          kinglet_error* error);

/** Text of tokens, not ended by NUL; sizes as in kinglet_tokenize. */
KINGLET_API kinglet_code kinglet_detokenize(const kinglet_model* model, const kinglet_token* tokens, size_t count,
                                            uint32_t flags, char* text, size_t capacity, size_t* size,
                                            kinglet_error* error);

/** Logits after each of `count` tokens, row by row: count x kinglet_model_vocab_size() numbers into `logits`, which has
 *  room for `capacity` of them. The tokens are taken as they are; no BOS is added. */
KINGLET_API kinglet_code kinglet_logits(kinglet_model* model, const kinglet_token* tokens, size_t count, float* logits,
                                        size_t capacity, kinglet_error* error);

/* ---- generating ---- */

/** A conversation or a text that goes on: the tokens so far, with their keys and values. */
typedef struct kinglet_session kinglet_session;

typedef struct kinglet_session_options {
  size_t size;     /**< set by kinglet_session_options_init */
  int32_t context; /**< tokens to make room for; 0: as many as the model was made for, and no more than 4096 */
} kinglet_session_options;

KINGLET_API void kinglet_session_options_init_sized(kinglet_session_options* options, size_t size);
static inline void kinglet_session_options_init(kinglet_session_options* options) {
  kinglet_session_options_init_sized(options, sizeof(*options));
}

/** How to choose each next token, and when to stop. */
typedef struct kinglet_sampling {
  size_t size;              /**< set by kinglet_sampling_init */
  int32_t max_tokens;       /**< at most this many; 0: until the context is full */
  int32_t top_k;            /**< among the k likeliest; 0: among all */
  float temperature;        /**< 0: always the likeliest */
  float top_p;              /**< among the likeliest that hold this probability together; 1: among all */
  float min_p;              /**< at least this share of the likeliest one's probability; 0: among all */
  float typical_p;          /**< nearest to the expected surprise, holding this probability together; 1: among all */
  float repetition_penalty; /**< 1: none */
  float presence_penalty;   /**< 0: none */
  float frequency_penalty;  /**< 0: none */
  int32_t penalty_window;   /**< how many last tokens the penalties look at; -1: all */
  uint64_t seed;            /**< the same seed and input give the same answer */
  const char* const* stops; /**< texts that end the answer; they are not part of it */
  size_t stop_count;
} kinglet_sampling;

KINGLET_API void kinglet_sampling_init_sized(kinglet_sampling* sampling, size_t size);
static inline void kinglet_sampling_init(kinglet_sampling* sampling) {
  kinglet_sampling_init_sized(sampling, sizeof(*sampling));
}

/** Called with each piece of the answer, whole characters, not ended by NUL. Returns 0 to go on; anything else stops. */
typedef int (*kinglet_text_callback)(const char* text, size_t size, void* user);

/** Why an answer ended. */
typedef enum kinglet_stop_reason {
  KINGLET_STOP_END = 0,      /**< the model ended it */
  KINGLET_STOP_LENGTH = 1,   /**< max_tokens */
  KINGLET_STOP_TEXT = 2,     /**< one of the stop texts */
  KINGLET_STOP_CONTEXT = 3,  /**< the context is full */
  KINGLET_STOP_CANCELLED = 4 /**< the callback said so */
} kinglet_stop_reason;

typedef struct kinglet_answer {
  size_t size; /**< sizeof(kinglet_answer), set by the caller */
  kinglet_stop_reason reason;
  int32_t prompt_tokens; /**< that were not in the cache already */
  int32_t answer_tokens;
  double prompt_seconds;
  double answer_seconds;
} kinglet_answer;

KINGLET_API kinglet_code kinglet_session_open(kinglet_model* model, const kinglet_session_options* options,
                                              kinglet_session** session, kinglet_error* error);
KINGLET_API void kinglet_session_close(kinglet_session* session);

/** Goes on from `text`, put after what the session holds, with no chat template. Special tokens in it are text.
 *  `sampling`, `callback` and `answer` may be NULL. The session then holds the text and what followed. */
KINGLET_API kinglet_code kinglet_generate(kinglet_session* session, const char* text, size_t text_size,
                                          const kinglet_sampling* sampling, kinglet_text_callback callback, void* user,
                                          kinglet_answer* answer, kinglet_error* error);

/** Sets the system's message of a conversation that has not begun. */
KINGLET_API kinglet_code kinglet_set_system(kinglet_session* session, const char* text, size_t text_size,
                                            kinglet_error* error);

/** Says `text` as the user, by the model's own chat template, and generates the assistant's answer. The session keeps
 *  both, so the next call goes on with the conversation. Where it fails, the conversation stands as it was. */
KINGLET_API kinglet_code kinglet_chat(kinglet_session* session, const char* text, size_t text_size,
                                      const kinglet_sampling* sampling, kinglet_text_callback callback, void* user,
                                      kinglet_answer* answer, kinglet_error* error);

/** Forgets everything: the next call starts anew. */
KINGLET_API void kinglet_session_reset(kinglet_session* session);

/** Tokens that the session holds. */
KINGLET_API size_t kinglet_session_length(const kinglet_session* session);

#ifdef __cplusplus
}
#endif

#endif
