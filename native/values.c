/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values between C and JavaScript: arguments in, results out.
 *
 * Making a plain value fails only when an exception is pending already or the environment is ending; the
 * value is then NULL, which JavaScript sees as undefined if it still sees anything.
 */
#include "handles.h"

#include <math.h>
#include <string.h>

/* ---- arguments ---- */

bool get_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *argv)
{
	size_t given = count;

	if (napi_get_cb_info(env, info, &given, argv, NULL, NULL) != napi_ok) {
		throw_napi(env);
		return false;
	}
	if (given < count) {
		throw_type(env, "Wanted %zu arguments, got %zu", count, given);
		return false;
	}
	return true;
}

bool is_type(napi_env env, napi_value value, napi_valuetype type)
{
	napi_valuetype actual;

	return napi_typeof(env, value, &actual) == napi_ok && actual == type;
}

bool get_uint32(napi_env env, napi_value value, const char *name, uint32_t *number)
{
	double given;

	if (napi_get_value_double(env, value, &given) != napi_ok) {
		throw_type(env, "Wanted a number for %s", name);
		return false;
	}
	if (!(given >= 0 && given <= UINT32_MAX) || given != floor(given)) {
		throw_range(env, "Wanted a whole number from 0 to 4294967295 for %s, got %g", name, given);
		return false;
	}
	*number = (uint32_t)given;
	return true;
}

bool get_string(napi_env env, napi_value value, const char *name, size_t size, char *text)
{
	size_t length;

	if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
		throw_type(env, "Wanted a string for %s", name);
		return false;
	}
	if (length >= size) {
		throw_range(env, "Wanted at most %zu bytes for %s, got %zu", size - 1, name, length);
		return false;
	}
	if (napi_get_value_string_utf8(env, value, text, size, &length) != napi_ok) {
		throw_napi(env);
		return false;
	}
	if (strlen(text) != length) {
		throw_type(env, "Wanted a string without a zero byte for %s", name);
		return false;
	}
	return true;
}

bool get_optional_string(napi_env env, napi_value value, const char *name, size_t size, char *text)
{
	text[0] = '\0';
	return is_type(env, value, napi_undefined) || get_string(env, value, name, size, text);
}

bool get_bytes(napi_env env, napi_value value, const char *name, uint64_t least, struct bytes *bytes)
{
	napi_typedarray_type type;
	bool is_array = false;

	if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array ||
	    napi_get_typedarray_info(env, value, &type, &bytes->length, &bytes->data, NULL, NULL) !=
		napi_ok ||
	    type != napi_uint8_array) {
		throw_type(env, "Wanted a Uint8Array for %s", name);
		return false;
	}
	if (bytes->length < least) {
		throw_range(env, "Wanted at least %llu bytes for %s, got %zu", (unsigned long long)least,
			    name, bytes->length);
		return false;
	}
	return true;
}

bool get_member(napi_env env, napi_value object, const char *name, napi_value *value)
{
	if (!is_type(env, object, napi_object)) {
		throw_type(env, "Wanted an object with %s", name);
		return false;
	}
	if (napi_get_named_property(env, object, name, value) != napi_ok) {
		throw_napi(env);
		return false;
	}
	return true;
}

bool get_uint32_member(napi_env env, napi_value object, const char *name, uint32_t *number)
{
	napi_value value;

	return get_member(env, object, name, &value) && get_uint32(env, value, name, number);
}

/* ---- results ---- */

napi_value number_value(napi_env env, double number)
{
	napi_value value = NULL;

	napi_create_double(env, number, &value);
	return value;
}

napi_value bool_value(napi_env env, bool truth)
{
	napi_value value = NULL;

	napi_get_boolean(env, truth, &value);
	return value;
}

napi_value string_value(napi_env env, const char *text)
{
	napi_value value = NULL;

	napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
	return value;
}

napi_value bigint_value(napi_env env, uint64_t number)
{
	napi_value value = NULL;

	napi_create_bigint_uint64(env, number, &value);
	return value;
}

void set_number(napi_env env, napi_value object, const char *name, double number)
{
	napi_set_named_property(env, object, name, number_value(env, number));
}

void set_string(napi_env env, napi_value object, const char *name, const char *text)
{
	napi_set_named_property(env, object, name, string_value(env, text));
}

void set_bool(napi_env env, napi_value object, const char *name, bool truth)
{
	napi_set_named_property(env, object, name, bool_value(env, truth));
}
