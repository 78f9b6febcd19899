/* The program: argv to cli, which hands the request to a session. */
#include "cli/cli.h"
#include "session/session.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv, session_run);
}
