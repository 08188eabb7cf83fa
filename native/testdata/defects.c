/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mistakes of the kinds that the sanitizers are there for. tools/sanitize.ts calls each of them and wants it reported: a run
 * that finds nothing in the addon then means something.
 */
#include <node_api.h>

#include <limits.h>
#include <stdlib.h>

/* Volatile: the compiler must neither foresee what happens here nor leave it out. */
static volatile int one = 1;
static char *volatile kept;

static napi_value overflow(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	kept = malloc(16);
	if (kept)
		kept[15 + one] = 'x';
	return NULL;
}

static napi_value use_after_free(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	kept = malloc(16);
	free(kept);
	kept[0] = 'x';
	return NULL;
}

static napi_value signed_overflow(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	one = INT_MAX + one;
	return NULL;
}

static napi_value leak(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	for (int i = 0; i < 100; i++) /* the last one may still be in a register */
		kept = malloc(1000);
	kept = NULL;
	return NULL;
}

NAPI_MODULE_INIT()
{
	const napi_property_descriptor defects[] = {
	    {.utf8name = "overflow", .method = overflow},
	    {.utf8name = "useAfterFree", .method = use_after_free},
	    {.utf8name = "signedOverflow", .method = signed_overflow},
	    {.utf8name = "leak", .method = leak},
	};

	if (napi_define_properties(env, exports, sizeof(defects) / sizeof(defects[0]), defects) != napi_ok)
		return NULL;
	return exports;
}
