"""The library of operations on dead letters and retry records. The commands call it, and later a manager will, too.

Each operation is a function that takes its clients, a typed request, a progress callback and a stop event, and returns a
typed result. No operation prints, prompts, reads the environment, exits or touches signals, and several can run in one
process. Where a person has to confirm a change, there are two steps: `find` or `plan_…` returns what the operation is
going to do, and the operation then does it. In between, the dead letters that were found are kept invisible.

stats        how many dead letters there are, why they failed, and when the first of them expires
find         which dead letters match a filter or a list of ids, in the DLQ or in the archive
inspect      a complete dead letter, the current state of its objects, and the recommended command
redrive      send dead letters to their queue again, after checking each of them
native_move  let SQS itself move all dead letters, without checks
recover      index the objects of dead letters now, or archive the dead letters, and confirm the result
replay       write the retry records of `retry-index/` to the index
reconcile    account for every object of a bucket; `fix` sends or indexes what is lost, and removes what is gone
backfill     send or index the objects of a bucket that existed before the worker; estimate_backfill says what that takes
abandon      move dead letters to `dlq-archive/`
restore      send archived dead letters to a queue again
export       write dead letters to a file
import_file  send the dead letters of a file to a queue
purge        write all dead letters to a file, then delete them

dead_letters/  reading, describing and selecting dead letters   transfer/    sending dead letters and deleting them safely
records/       archive, holders, export files                   recovering/  the parts of `recover`
reconciling/   the parts of `reconcile`, and `fix`               backfilling/ the parts of `backfill`
"""
