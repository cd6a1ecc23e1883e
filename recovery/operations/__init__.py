"""What can be done about dead letters, as a library; commands, and later a manager, call the same operations.

Each operation is a function of its clients, a typed request, a progress callback and a stop event, and returns a typed
result. None prints, prompts, reads the environment, exits or touches signals, and several may run in one process. Where a
person is to be asked before a change, it comes in two steps: `find` or `plan_…` say what would be done, and the operation
does it while the dead letters that were found stay invisible.

find · stats · inspect      what there is, why, and what to do about it
redrive · native_move       send back to a queue, each one checked, or all of them by SQS itself
recover · replay            do the work now, and confirm it
abandon · restore           give up to `dlq-archive/`, and bring back from there
export · import_file · purge  into a file, and from a file

dead_letters/  what is known of a dead letter    transfer/    what is sent, and in which order nothing is lost
records/       archive, audit, holders, files    recovering/  one run over the whole dead-letter queue
"""
