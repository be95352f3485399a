from paka.errors import DataError, one_line


def test_an_error_out_of_a_loading_process_is_its_message_alone():
    text = "Caught DataError in DataLoader worker process 0.\nTraceback\npaka.errors.DataError: odd"
    assert one_line(DataError(text)) == "odd"
