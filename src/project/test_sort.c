/* Orders and numbers of comparisons recorded from CPython 3.12.1 with the same pseudo-random orders, of which modes 1
 * and 2 are inconsistent on purpose. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "project/sort.h"

static const struct recorded {
	unsigned mode, n, seed, comparisons;
	uint64_t order;
} recorded[] = {
	{ 0, 2, 1, 1, 0x08b4fda8c892b50e },
	{ 0, 3, 1, 2, 0x5def8c1f8a9e3322 },
	{ 0, 10, 1, 19, 0x36af334141ceabd0 },
	{ 0, 10, 2, 23, 0xc40bfd291658992e },
	{ 0, 10, 3, 21, 0xa9236078f31ebd70 },
	{ 0, 63, 1, 288, 0xe62a298ea1cf94cd },
	{ 0, 63, 2, 291, 0x5cc480ba0610ac57 },
	{ 0, 63, 3, 289, 0xd08c52ce2ce1247e },
	{ 0, 64, 1, 290, 0x59e2a954ced015fc },
	{ 0, 64, 2, 306, 0xdba5f692a6556c64 },
	{ 0, 64, 3, 298, 0xbf59089c60d06d63 },
	{ 0, 65, 1, 297, 0x26058e573992ec55 },
	{ 0, 65, 2, 308, 0x2044aada7ee365dc },
	{ 0, 65, 3, 302, 0xdcf819830020105d },
	{ 0, 127, 1, 703, 0x3e915378928cde74 },
	{ 0, 127, 2, 711, 0x98c607f1d226d243 },
	{ 0, 127, 3, 707, 0xea73429d91286aac },
	{ 0, 200, 1, 1197, 0x4a37d220c11fe230 },
	{ 0, 200, 2, 1202, 0xa50163b548b6ff6a },
	{ 0, 200, 3, 1201, 0xe17f4dd2146b1b34 },
	{ 0, 500, 1, 3278, 0x59aaf075a4e50f12 },
	{ 0, 500, 2, 3262, 0x32e91bbfe6e8bbd0 },
	{ 0, 500, 3, 3261, 0x190f52c7808973a8 },
	{ 0, 1000, 1, 6778, 0x890e233655605bbc },
	{ 0, 1000, 2, 6749, 0x2c2046abc23349fd },
	{ 0, 1000, 3, 6742, 0x6ce092ac426d4f28 },
	{ 0, 3000, 1, 20978, 0xfef8aa81e1d171fb },
	{ 0, 3000, 2, 21055, 0xdb0326791c1c7472 },
	{ 0, 3000, 3, 20973, 0xbbc8133577af030f },
	{ 1, 2, 1, 1, 0x08b4fda8c892b50e },
	{ 1, 3, 1, 2, 0x5def8c1f8a9e3322 },
	{ 1, 10, 1, 22, 0xaedda2c054e1b760 },
	{ 1, 10, 2, 22, 0x887ff11da81cc1cd },
	{ 1, 10, 3, 25, 0x8eec19bfdeb61298 },
	{ 1, 63, 1, 292, 0xc0ba3d824b6718af },
	{ 1, 63, 2, 290, 0x6829682b97bdc393 },
	{ 1, 63, 3, 294, 0x1dd2985c3ddc8556 },
	{ 1, 64, 1, 296, 0xe005edf325baa4d8 },
	{ 1, 64, 2, 281, 0x2a330df021e07dc5 },
	{ 1, 64, 3, 305, 0xc35c209fe18243c7 },
	{ 1, 65, 1, 296, 0x99aa707644ec4e52 },
	{ 1, 65, 2, 296, 0x60d5e4cf493f71c0 },
	{ 1, 65, 3, 300, 0x62d58003ac8ea870 },
	{ 1, 127, 1, 635, 0x456dfee1963466b6 },
	{ 1, 127, 2, 701, 0xd541eee66e3f9452 },
	{ 1, 127, 3, 674, 0x18d2dc29ee167b0b },
	{ 1, 200, 1, 1035, 0x63681c4536245afb },
	{ 1, 200, 2, 1130, 0xdd27e3344d36de3a },
	{ 1, 200, 3, 1157, 0x139cdcaf464a255b },
	{ 1, 500, 1, 3059, 0x356757b267155088 },
	{ 1, 500, 2, 2958, 0x1d4ef73af6536df6 },
	{ 1, 500, 3, 3200, 0x9925e776976ab6cc },
	{ 1, 1000, 1, 6457, 0x881750628614fffc },
	{ 1, 1000, 2, 6427, 0x35349ec5f93070a1 },
	{ 1, 1000, 3, 6727, 0xfb56704d155bc9f4 },
	{ 1, 3000, 1, 21062, 0xb70ad983e1e1b2ce },
	{ 1, 3000, 2, 20516, 0x8de7a7458b74f624 },
	{ 1, 3000, 3, 21265, 0xc890e0120b861fa5 },
	{ 2, 2, 1, 1, 0x5e41ab087439611e },
	{ 2, 3, 1, 2, 0x90b96b4dd23bd6eb },
	{ 2, 10, 1, 22, 0x675aaf31275c6ce2 },
	{ 2, 10, 2, 21, 0x24caa2cb6e286405 },
	{ 2, 10, 3, 22, 0x694303e19bee1bf3 },
	{ 2, 63, 1, 290, 0xb5b7c90fe1dc9f3e },
	{ 2, 63, 2, 287, 0x6df53ba0508e7d11 },
	{ 2, 63, 3, 289, 0x88ffbf7ce7508110 },
	{ 2, 64, 1, 287, 0xcfb210500cc88a95 },
	{ 2, 64, 2, 290, 0x0fce060dc7d120fc },
	{ 2, 64, 3, 284, 0x6cf3510518ae5139 },
	{ 2, 65, 1, 299, 0xd1151fc6329f3130 },
	{ 2, 65, 2, 288, 0xe098878a2e7e8c4c },
	{ 2, 65, 3, 296, 0x20744a16e3bc9962 },
	{ 2, 127, 1, 709, 0x76e0df02b6e08858 },
	{ 2, 127, 2, 680, 0x55236175d16f5755 },
	{ 2, 127, 3, 706, 0x0959355e8ee252a4 },
	{ 2, 200, 1, 1220, 0xd34adc8dca5d583c },
	{ 2, 200, 2, 1215, 0x6d87e863bbdbdeda },
	{ 2, 200, 3, 1212, 0x9a81e5ea94948d08 },
	{ 2, 500, 1, 3529, 0x17bf21b31a4d1af4 },
	{ 2, 500, 2, 3674, 0x02f4208c779c6679 },
	{ 2, 500, 3, 3679, 0x427fc541b30b2a96 },
	{ 2, 1000, 1, 7953, 0x684df437d29629ed },
	{ 2, 1000, 2, 8388, 0x8e978f134f3b6b9a },
	{ 2, 1000, 3, 8153, 0x43fd12fe16708bb4 },
	{ 2, 3000, 1, 29291, 0xda1778dd661c3462 },
	{ 2, 3000, 2, 29334, 0x1cca16a994dab971 },
	{ 2, 3000, 3, 28339, 0x6cc81e7fdaa1eb14 },
	{ 3, 2, 1, 1, 0x08b4fda8c892b50e },
	{ 3, 3, 1, 2, 0x5def8c1f8a9e3322 },
	{ 3, 10, 1, 9, 0xe32bebdfc21fbff3 },
	{ 3, 10, 2, 23, 0xa6f1e4f38ddab43b },
	{ 3, 10, 3, 9, 0xe32bebdfc21fbff3 },
	{ 3, 63, 1, 176, 0x67b866bb76717369 },
	{ 3, 63, 2, 306, 0xdf44d4c1421b4449 },
	{ 3, 63, 3, 176, 0x67b866bb76717369 },
	{ 3, 64, 1, 125, 0xc5b8f7aeac7ec77a },
	{ 3, 64, 2, 291, 0x733835cd0cda4ab8 },
	{ 3, 64, 3, 125, 0xc5b8f7aeac7ec77a },
	{ 3, 65, 1, 126, 0x8d91a76aa9af5a16 },
	{ 3, 65, 2, 297, 0xd19d217422673b0c },
	{ 3, 65, 3, 126, 0x8d91a76aa9af5a16 },
	{ 3, 127, 1, 578, 0xaf036f481cc1e99b },
	{ 3, 127, 2, 709, 0xc6d2e7a1013a79aa },
	{ 3, 127, 3, 578, 0xaf036f481cc1e99b },
	{ 3, 200, 1, 1014, 0x1b0c2af9ddc32cd7 },
	{ 3, 200, 2, 1198, 0xbafd07b63d98cc52 },
	{ 3, 200, 3, 1014, 0x1b0c2af9ddc32cd7 },
	{ 3, 500, 1, 3322, 0x86f9190e41fe6d01 },
	{ 3, 500, 2, 3132, 0x0d61aca73998219b },
	{ 3, 500, 3, 3322, 0x86f9190e41fe6d01 },
	{ 3, 1000, 1, 7742, 0xd7533ed9d738e038 },
	{ 3, 1000, 2, 6403, 0xe6a4076bcb7a54b8 },
	{ 3, 1000, 3, 7742, 0xd7533ed9d738e038 },
	{ 3, 3000, 1, 27153, 0x0c74623c3b830dde },
	{ 3, 3000, 2, 19673, 0xf8841d667ed89126 },
	{ 3, 3000, 3, 27153, 0x0c74623c3b830dde },
};

struct item {
	uint64_t i, value;
};

struct order {
	unsigned mode, seed, comparisons;
};

static uint64_t mix(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t value_of(unsigned mode, uint64_t seed, uint64_t i)
{
	switch (mode) {
	case 0:
		return mix(seed * 1000003 + i) % 10;
	case 1:
		return mix(seed * 1000003 + i) % 1000;
	case 2:
		return 0;
	default:
		return seed % 2 ? i % 40 * 7 + i / 40 : 10000 - i + mix(seed * 77 + i) % 3 * 50;
	}
}

static bool less(const void *left, const void *right, void *data)
{
	const struct item *a = left, *b = right;
	struct order *order = data;
	uint64_t r = mix((order->seed * 31 + a->i) * 100003 + b->i);

	order->comparisons++;
	if (order->mode == 2)
		return r & 1;
	if (order->mode == 1 && r % 16 == 0)
		return a->value > b->value;
	return a->value < b->value;
}

static void test_recorded(void **state)
{
	for (size_t r = 0; r < ARRAY_SIZE(recorded); r++) {
		const struct recorded *want = &recorded[r];
		struct order order = { .mode = want->mode, .seed = want->seed };
		struct item *items = xcalloc(want->n, sizeof(*items));
		void **list = xcalloc(want->n, sizeof(*list));
		uint64_t hash = 0;

		for (unsigned i = 0; i < want->n; i++) {
			items[i] = (struct item){ i, value_of(want->mode, want->seed, i) };
			list[i] = &items[i];
		}
		project_sort(list, want->n, less, &order);
		for (unsigned i = 0; i < want->n; i++)
			hash = mix(hash ^ ((struct item *)list[i])->i);
		assert_int_equal(order.comparisons, want->comparisons);
		assert_true(hash == want->order);
		free(list);
		free(items);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_recorded) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
