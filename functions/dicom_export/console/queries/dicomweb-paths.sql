SELECT
  CONCAT('/dicomWeb/studies/', StudyInstanceUID, '/series/', SeriesInstanceUID, '/instances/', SOPInstanceUID)
    AS DICOMwebPath
FROM dicom
WHERE PatientID = '1CT1'
